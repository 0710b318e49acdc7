"""``python -m benchmark workspace DIR --profile NAME``: the same pipeline elsewhere, with other settings.

A workspace is a folder with copies of the code and of params.yaml, a profile merged in, and a DVC
repository of its own. `make quick` and the tests of the whole pipeline run there, so that a first look
never touches the results of the full run. What was laid out is written down in ``.workspace.json``, so that a second
call refreshes what is as it was left and keeps what its user changed or added.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import say
from benchmark.pipeline import layout, profiles

COPIED = ("offclip", "baselines", "benchmark", "profiles", "dvc.yaml", "params.yaml", ".dvcignore")
IN_USE = (*COPIED, "docs", "tests", ".git", ".dvc", ".venv", "plan", "data", "runs", "scores", "probe", "results",
          "reports", "mlartifacts")  # fmt: skip
"""Parts of a repository in which no workspace is laid out."""
RECORD = ".workspace.json"
"""In a workspace: relative path -> SHA-256 of what was laid out there."""


def create(directory: Path, profile: str, source: Path, force: bool = False) -> list[str]:
    """Lay out (or refresh) a workspace; what its pipeline has already made is kept.

    Args:
        directory: the workspace; made if missing.
        profile: a name in ``source/profiles``.
        source: the repository to copy code and settings from.
        force: replace files that were changed in the workspace as well.

    Returns:
        Files that were changed in the workspace and kept, by their path in it.

    Raises:
        UserError: the folder is no workspace, holds the repository or lies in a part of it, or cannot be made.
    """
    changes = profiles.read(profile, source / profiles.PROFILES)
    _refuse_source(directory, source)
    laid_out = _record(directory)
    wanted = dict(_copied(source))
    wanted[layout.PARAMS.as_posix()] = profiles.merged(changes, source / layout.PARAMS)[0].encode()
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{directory} cannot be made a folder ({error.strerror}); name another place.") from None
    # First, so that a folder of which a killed process laid out a part is known for a workspace.
    files.write_json(directory / RECORD, laid_out)
    kept = []
    for name, content in wanted.items():
        target, digest = directory / name, _digest(content)
        found = files.sha256_file(target) if target.is_file() else None
        if found not in (None, digest, laid_out.get(name)) and not force:
            kept.append(name)
            continue
        if found != digest:
            with files.replacing(target) as part:
                part.write_bytes(content)
        laid_out[name] = digest
    for name in sorted(set(laid_out) - set(wanted)):  # gone from the repository
        if (directory / name).is_file() and files.sha256_file(directory / name) == laid_out[name]:
            (directory / name).unlink()
        del laid_out[name]
    files.write_json(directory / RECORD, laid_out)
    _materials(directory, source)
    if not (directory / ".dvc").is_dir():
        subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=directory, check=True)
        for option in ("core.analytics", "core.autostage"):
            subprocess.run([sys.executable, "-m", "dvc", "config", option, "false"], cwd=directory, check=True)
    return kept


def _refuse_source(directory: Path, source: Path) -> None:
    """Refuse the repository, a folder around it, and the parts of it that hold code or what stages make."""
    place, home = directory.resolve(), source.resolve()
    inside = place.relative_to(home).parts if place.is_relative_to(home) else None
    if home.is_relative_to(place):
        raise UserError("The workspace must not hold the repository itself; name another folder, for example .quick.")
    if inside and inside[0] in IN_USE:
        raise UserError(
            f"{directory} cannot be made a folder of its own: {inside[0]} is part of the repository; name another "
            "place, for example .quick."
        )


def _record(directory: Path) -> dict[str, str]:
    """What a workspace was laid out with; nothing for a new or empty folder.

    Raises:
        UserError: the folder holds something and is no workspace.
    """
    if (directory / RECORD).is_file():
        return dict(files.read_json(directory / RECORD))
    if directory.is_dir() and any(directory.iterdir()):
        raise UserError(
            f"{directory} holds files and is no workspace (it has no {RECORD}); name a new or an empty folder."
        )
    return {}


def _copied(source: Path) -> Iterator[tuple[str, bytes]]:
    """Relative path and content of every file that a workspace copies."""
    for name in COPIED:
        for path in sorted((source / name).rglob("*")) if (source / name).is_dir() else [source / name]:
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".part":
                yield path.relative_to(source).as_posix(), path.read_bytes()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _materials(directory: Path, source: Path) -> None:
    """The fetched material, where the repository has it: it need not be fetched twice."""
    for wheel in sorted((source / layout.MATERIALS).glob("*.whl")):
        target = directory / layout.MATERIALS / wheel.name
        if not target.exists():
            with files.replacing(target) as part:
                part.write_bytes(wheel.read_bytes())


def run(directory: str, profile: str, force: bool = False) -> None:
    """Lay out a workspace beside the repository (the working directory)."""
    kept = create(Path(directory), profile, Path.cwd(), force)
    if kept:
        say(f"{directory}: kept as they were changed there: {', '.join(kept)} (--force replaces them)")
    say(f"{directory}: profile '{profile}'; now: cd {directory} && dvc repro")

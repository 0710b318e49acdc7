"""``python -m benchmark workspace DIR --profile NAME``: the same pipeline elsewhere, with other settings.

A workspace is a folder with copies of the code and of params.yaml, a profile merged in, and a DVC
repository of its own. `make quick` and the tests of the whole pipeline run there, so that a first look
never touches the results of the full run.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from benchmark.common.errors import UserError
from benchmark.common.progress import say
from benchmark.pipeline import layout, profiles

COPIED = ("offclip", "baselines", "benchmark", "profiles", "dvc.yaml", "params.yaml", ".dvcignore")


def create(directory: Path, profile: str, source: Path) -> None:
    """Lay out (or refresh) a workspace; what its pipeline has already made is kept.

    Args:
        directory: the workspace; made if missing.
        profile: a name in ``source/profiles``.
        source: the repository to copy code and settings from.
    """
    if directory.resolve() == source.resolve():
        raise UserError("The workspace must not be the repository itself; name another folder, for example .quick.")
    changes = profiles.read(profile, source / profiles.PROFILES)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{directory} cannot be made a folder ({error.strerror}); name another place.") from None
    for name in COPIED:
        target = directory / name
        if target.is_dir():
            shutil.rmtree(target)
        if (source / name).is_dir():
            shutil.copytree(source / name, target, ignore=shutil.ignore_patterns("__pycache__", "*.part"))
        else:
            shutil.copy2(source / name, target)
    profiles.apply(changes, directory / layout.PARAMS)
    materials = directory / layout.MATERIALS
    for wheel in sorted((source / layout.MATERIALS).glob("*.whl")):
        if not (materials / wheel.name).exists():
            materials.mkdir(parents=True, exist_ok=True)
            shutil.copy2(wheel, materials)
    if not (directory / ".dvc").is_dir():
        subprocess.run([sys.executable, "-m", "dvc", "init", "--no-scm", "--quiet"], cwd=directory, check=True)
        for option in ("core.analytics", "core.autostage"):
            subprocess.run([sys.executable, "-m", "dvc", "config", option, "false"], cwd=directory, check=True)


def run(directory: str, profile: str) -> None:
    """Lay out a workspace beside the repository (the working directory)."""
    create(Path(directory), profile, Path.cwd())
    say(f"{directory}: profile '{profile}'; now: cd {directory} && dvc repro")

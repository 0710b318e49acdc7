"""Careful reading of a release's tables: which file it is, its columns, and what may not repeat."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.cohort.privacy import name_shown, row_of
from benchmark.common import bounded
from benchmark.common.errors import UserError, nearest

LONGEST_HEADER = 1 << 16
"""Bytes in which a table's first row must end; the published ones have some hundreds."""


def locate(root: Path, names: Sequence[str], dataset: str) -> Path:
    """First of ``names`` (glob patterns) that exists under ``root``.

    Raises:
        UserError: the root does not exist, or none of the names is in it; the sentence says which
            dataset the folder looks like instead, where it looks like another.
    """
    if (found := find(root, names)) is not None:
        return found
    if not root.is_dir():
        raise UserError(
            f"{dataset}: the root {root} is not a folder; set datasets.{dataset}.root in params.yaml to the release."
        )
    if not os.access(root, os.R_OK | os.X_OK):
        raise UserError(f"{dataset}: you may not list the root {root}; ask its owner for the right to read it.")
    other = next((name for name, marks in MARKS.items() if name != dataset and find(root, marks)), None)
    held = ", ".join(map(name_shown, sorted(path.name for path in root.iterdir() if path.name != "pointer.json")[:6]))
    looks = f" (it looks like {other})" if other else ""
    raise UserError(
        f"{dataset}: expected {' or '.join(names)} under {root}, found {held or 'nothing'}{looks}; "
        f"set datasets.{dataset}.root in params.yaml to the folder that holds it."
    )


MARKS: dict[str, tuple[str, ...]] = {
    "mimic_cxr": ("mimic-cxr-2.0.0-metadata.csv*",),
    "vindr_cxr": ("annotations/image_labels_*.csv*",),
    "open_i": ("ecgen-radiology", "NLMCXR_reports.tgz"),
    "chexpert": (
        "test_labels.csv",
        "valid.csv",
        "CheXpert/test_labels.csv",
        "val_labels.csv",
        "CheXpert/val_labels.csv",
    ),
    "padchest": ("PADCHEST_chest_x_ray_images_labels_160K_*.csv*",),
}
"""A file by which each release is known."""


def find(root: Path, names: Sequence[str]) -> Path | None:
    """First existing match of the glob patterns ``names`` under ``root``, or None."""
    for name in names:
        if matches := sorted(root.glob(name)):
            return matches[0]
    return None


def grounding_file(given: Path | None, root: Path, names: Sequence[str]) -> Path | None:
    """The file of masks or boxes: the one the user names, else the first of ``names`` under the root, else None.

    Raises:
        UserError: the named file does not exist.
    """
    if given is not None and not given.is_file():
        raise UserError(f"the grounding file {given} does not exist; correct `grounding` in params.yaml, or remove it.")
    return given or find(root, names)


def read_table(path: Path, columns: Iterable[str], optional: Iterable[str] = ()) -> pd.DataFrame:
    """Read the named columns of a CSV (plain, gzip, bzip2 or xz) as text; blanks are empty strings.

    Raises:
        UserError: a column is missing (the sentence names the file, the column, the nearest column that
            is there), or the file cannot be read, or is larger than any such table.
    """
    wanted = tuple(columns)
    content, header = _csv(path)
    if not set(wanted) & set(header):
        raise UserError(
            f"{path}: expected the columns {', '.join(wanted[:4])} ..., but its first row "
            "names none of them; was its header line removed, or is it another table?"
        )
    try:
        for column in wanted:
            if column not in header:
                found = ", ".join(map(name_shown, header[:12])) + (" ..." if len(header) > 12 else "")
                public = [name for name in header if name_shown(name) == name]
                raise UserError(
                    f"{path}: expected a column '{column}', found {found}{nearest(column, public) or '.'} "
                    "The layout expected is in docs/datasets.md."
                )
        used = [column for column in header if column in {*wanted, *optional}]
        table = pd.read_csv(io.BytesIO(content), usecols=used, dtype=str, keep_default_na=False, engine="c")
    except bounded.UNREADABLE as error:
        raise bounded.unreadable(path, "CSV", error) from None
    return pd.DataFrame({name: table[name].str.strip() for name in used})


def read_header(path: Path) -> list[str]:
    """Column names of a CSV.

    Raises:
        UserError: as of ``read_table``.
    """
    return _csv(path)[1]


def _csv(path: Path) -> tuple[bytes, list[str]]:
    """The bytes of a CSV and its column names, which are read from its beginning alone."""
    try:
        content = bounded.table(path)
        start = content[:LONGEST_HEADER]
        if len(start) < len(content) and not {*b"\n\r"} & {*start}:
            raise ValueError(f"its first row does not end within {LONGEST_HEADER >> 10} KiB")
        return content, list(pd.read_csv(io.BytesIO(start), nrows=0).columns)
    except bounded.UNREADABLE as error:
        raise bounded.unreadable(path, "CSV", error) from None


def read_json(path: Path, expected: type) -> Any:
    """Read a JSON file of a release whose top is an ``expected`` (``dict`` or ``list``).

    Raises:
        UserError: it is not JSON, is nested too deeply to be read or larger than any such file, or something else is
            at its top.
    """
    try:
        value = json.loads(bounded.table(path, b",[{").decode())
    except (*bounded.UNREADABLE, RecursionError) as error:
        raise bounded.unreadable(path, "JSON", error) from None
    if not isinstance(value, expected):
        raise UserError(
            f"{path}: expected a JSON {expected.__name__} at the top, found {type(value).__name__}; download it again."
        )
    return value


def check_unique(values: pd.Series, path: Path) -> None:
    """Refuse a repeated identifier.

    Raises:
        UserError: names the file, the column and both rows.
    """
    repeated = np.flatnonzero(values.duplicated().to_numpy())
    if len(repeated):
        second = int(repeated[0])
        first = int(np.flatnonzero((values == values.iloc[second]).to_numpy())[0])
        raise UserError(
            f"{path}: {row_of(second)} repeats the {values.name} of {row_of(first)} ({len(repeated)} repeated in all); "
            "expected each once: remove the repeated rows."
        )


def check_one_split(patients: pd.Series, splits: pd.Series, rows: pd.Series, path: Path) -> None:
    """Refuse a patient who is in more than one split; ``rows`` are positions in the table.

    Raises:
        UserError: names the file, two rows of the patient and the splits.
    """
    per_patient = splits.groupby(patients.to_numpy()).nunique()
    if (per_patient > 1).any():
        patient = per_patient.index[per_patient > 1][0]
        of_patient = (patients == patient).to_numpy()
        first = rows[of_patient].groupby(splits[of_patient]).min().sort_index()
        raise UserError(
            f"{path}: {' and '.join(f'{row_of(int(row))} ({split})' for split, row in first.items())} are one patient; "
            "expected each patient in one split only, or training would see evaluation patients: fix the split table."
        )

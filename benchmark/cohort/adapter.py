"""What every adapter returns, and the careful reading that all of them share.

An adapter is one file with ``read(root, settings, grounding) -> Cohort``: the published tables of one
dataset become one index and one list of regions; pictures are not opened. Where reading everything is
slow, the adapter also offers ``survey`` with the same arguments: the same cohort without report texts.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmark import bounded
from benchmark.errors import UserError, nearest
from benchmark.settings import DatasetSettings

LABEL_VALUES: dict[str, Any] = {"": pd.NA, "1": 1, "1.0": 1, "0": 0, "0.0": 0, "-1": -1, "-1.0": -1}
"""How the releases write a label: positive, negative, uncertain, not mentioned."""
INDEX_COLUMNS = ("image_id", "path", "patient_id", "study_id", "split", "view", "report", "normal")
REGION_COLUMNS = ("image_id", "finding", "kind", "x_min", "y_min", "x_max", "y_max", "rle", "side", "zone")
MASK_SIZE = ("mask_height", "mask_width")
"""Columns of an adapter's regions that ``prepare`` compares with the picture and drops."""
FRONTAL = ("PA", "AP", "frontal")
SHORT = 4
"""Characters in which nothing of a patient can be told."""
LONGEST_NAME = 64
IDENTIFIER = re.compile(r"\d{4}|[0-9a-f]{8}")
"""What no published table or column is called."""
LONGEST_HEADER = 1 << 16
"""Bytes in which a table's first row must end; the published ones have some hundreds."""
LONGEST_PATH = 250
"""Bytes of a picture's path; file systems refuse names above 255."""


@dataclass(frozen=True)
class Exclusion:
    """Rows of the release that are not used, and why."""

    reason: str
    names: tuple[str, ...]
    incomplete: bool = False
    """The release has them, this copy has not: they count against ``cohort.max_missing``."""


@dataclass(frozen=True)
class Cohort:
    """One dataset as its release describes it, before any picture is opened."""

    index: pd.DataFrame
    """``INDEX_COLUMNS`` and one ``label:<Finding>`` column per finding (Int8); one row a picture."""
    regions: pd.DataFrame
    """``REGION_COLUMNS`` and ``MASK_SIZE`` as the release writes them: corners in pixels of the original, or in
    fractions of its width and height where ``kind`` is ``fraction`` (``prepare`` turns those into boxes)."""
    findings: tuple[str, ...]
    """Published names in published order; the normal class is the column ``normal``."""
    labels: str
    """Name of the label set in use."""
    release: str
    """Which release the tree looks like, in words."""
    cluster: Literal["patient", "picture"] = "patient"
    grounding_truth: Literal["box", "mask", "zone", "none"] = "none"
    credentialed: bool = True
    """Access to the real release is granted to named persons only."""
    exclusions: tuple[Exclusion, ...] = ()
    notes: tuple[str, ...] = ()


Reader = Callable[[Path, DatasetSettings, "Path | None"], Cohort]


def reader(dataset: str, quick: bool = False) -> Reader:
    """The ``read`` function of a dataset's adapter; with ``quick`` its ``survey`` where it has one."""
    module = importlib.import_module(f"benchmark.cohort.{dataset}")
    return getattr(module, "survey", module.read) if quick else module.read


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
    "chexpert": ("test_labels.csv", "valid.csv"),
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
                told = [name for name in header if name_shown(name) == name]
                raise UserError(
                    f"{path}: expected a column '{column}', found {found}{nearest(column, told) or '.'} "
                    "The layout expected is in docs/datasets.md."
                )
        used = [column for column in header if column in {*wanted, *optional}]
        table = pd.read_csv(io.BytesIO(content), usecols=used, dtype=str, keep_default_na=False, engine="c")
    except bounded.UNREADABLE as error:
        raise unreadable(path, "CSV", error) from None
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
        raise unreadable(path, "CSV", error) from None


def read_json(path: Path, expected: type) -> Any:
    """Read a JSON file of a release whose top is an ``expected`` (``dict`` or ``list``).

    Raises:
        UserError: it is not JSON, is nested beyond reading or larger than any such file, or something else is at its
            top.
    """
    try:
        value = json.loads(bounded.table(path, b",[{").decode())
    except (*bounded.UNREADABLE, RecursionError) as error:
        raise unreadable(path, "JSON", error) from None
    if not isinstance(value, expected):
        raise UserError(
            f"{path}: expected a JSON {expected.__name__} at the top, found {type(value).__name__}; download it again."
        )
    return value


def unreadable(path: Path, kind: str, error: BaseException) -> UserError:
    """The sentence for a file that its reader gave up on."""
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return UserError(f"{path} cannot be read as {kind} ({reason}); download it again.")


def cell_shown(cell: str) -> str:
    """A table's cell for a message: as it is up to ``SHORT`` characters, else its length.

    Messages reach logs, and a table whose columns have slipped holds identifiers and report texts where labels are
    expected: file, row and column lead its owner to the cell.
    """
    return f"'{cell}'" if len(cell) <= SHORT else f"a text of {len(cell)} characters"


def name_shown(name: str) -> str:
    """A column's or a file's name for a message; `...` where it may be the identifier or the text of a patient."""
    return "..." if len(name) > LONGEST_NAME or IDENTIFIER.search(name) else name


def row_of(position: int) -> str:
    """Human name of a table's row: the line of the file, the header being line 1."""
    return f"row {position + 2}"


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
            "expected each patient in one split only, or training would see evaluation patients: mend the split table."
        )


def label_column(values: pd.Series, path: Path, allowed: Iterable[str] = LABEL_VALUES) -> pd.Series:
    """Text of a label column as Int8: 1, 0, -1, NA.

    Raises:
        UserError: a value is none of ``allowed``; names file, row, column and value.
    """
    known = set(allowed)
    codes, texts = pd.factorize(values)  # a handful of texts in hundreds of thousands of rows
    wrong = np.flatnonzero(~np.array([text in known for text in texts], dtype=bool)[codes])
    if len(wrong):
        at = int(wrong[0])
        expected = ", ".join(value or "blank" for value in ("0", "1", "-1", "") if value in known)
        raise UserError(
            f"{path}, {row_of(at)}: column '{values.name}' holds {cell_shown(values.iloc[at])}, expected one of "
            f"{expected} ({len(wrong)} such values): restore the published file."
        )
    parsed = pd.array([LABEL_VALUES[text] for text in texts], dtype="Int8")
    return pd.Series(parsed.take(codes), index=values.index, name=values.name)


def binary_column(values: pd.Series, path: Path) -> pd.Series:
    """Like ``label_column`` for evaluation tables, which hold 0 and 1 only."""
    return label_column(values, path, ("0", "0.0", "1", "1.0"))


def number_columns(table: pd.DataFrame, columns: Sequence[str], path: Path) -> pd.DataFrame:
    """Text columns as float64; blanks become NaN.

    Raises:
        UserError: a value is no number; names file, row, column and value.
    """
    numbers = pd.DataFrame({name: pd.to_numeric(table[name], errors="coerce") for name in columns})
    wrong = np.argwhere((numbers.isna() & (table[list(columns)] != "")).to_numpy())
    if len(wrong):
        at, column = (int(value) for value in wrong[0])
        raise UserError(
            f"{path}, {row_of(at)}: column '{columns[column]}' holds {cell_shown(table[columns[column]].iloc[at])}, "
            "expected a number: restore the published file."
        )
    return pd.DataFrame(numbers.astype(float))


def make_index(columns: dict[str, object], labels: pd.DataFrame) -> pd.DataFrame:
    """Index of the contract: ``INDEX_COLUMNS``, then ``label:<Finding>``; rows in the order of their paths.

    Args:
        columns: the index columns; ``split`` is ``test`` and ``report`` empty where they are left out.
        labels: one column a finding, rows in the same order.
    """
    index = pd.DataFrame({"split": "test", "report": "", **columns})[list(INDEX_COLUMNS)]
    check_inside(index["path"])
    named = labels.add_prefix("label:").astype("Int8").set_index(index.index)
    index = pd.concat([index.astype({"normal": "Int8"}), named], axis=1)
    return index.sort_values("path", kind="stable", ignore_index=True)


def check_inside(paths: pd.Series) -> None:
    """Refuse identifiers that would lead out of the release (``../../x``, ``/x``) or that no file can bear.

    Raises:
        UserError: names the picture's number among those in use.
    """
    for number, path in enumerate(paths, start=1):
        parts = PurePosixPath(path).parts
        if not parts or parts[0] == "/" or ".." in parts or "\0" in path or len(path.encode()) > LONGEST_PATH:
            raise UserError(
                f"the path that the tables give picture {number} of {len(paths)} cannot lie inside the release's "
                f"folder (expected a relative path without '..', of at most {LONGEST_PATH} bytes); restore the "
                "published tables."
            )


def make_regions(rows: pd.DataFrame | Sequence[dict[str, object]] = ()) -> pd.DataFrame:
    """Regions of the contract from rows that may lack columns (NaN coordinates, empty text)."""
    table = pd.DataFrame(rows)
    empty: dict[str, Any] = {name: "" for name in REGION_COLUMNS}
    empty |= {name: np.nan for name in ("x_min", "y_min", "x_max", "y_max", *MASK_SIZE)}
    table = table.assign(
        **{name: table[name].fillna(value) if name in table else value for name, value in empty.items()}
    )
    kinds = {name: "float32" if isinstance(empty[name], float) else "str" for name in empty}
    table = table[list(empty)].astype(kinds)
    return table.sort_values(["image_id", "finding"], kind="stable", ignore_index=True)


def without(
    table: pd.DataFrame, leave_out: pd.Series, reason: str, names: str, exclusions: list[Exclusion]
) -> pd.DataFrame:
    """Rows of ``table`` that stay; those left out are appended to ``exclusions`` by the column ``names``."""
    gone = leave_out.to_numpy(dtype=bool)
    if gone.any():
        exclusions.append(Exclusion(reason, tuple(table.loc[gone, names])))
    return table[~gone].reset_index(drop=True)

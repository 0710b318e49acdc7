"""What every adapter returns, and the careful reading that all of them share.

An adapter is one file with ``read(root, settings, grounding) -> Release``: the published tables of one
dataset become one index and one list of regions; images are not opened. Where reading everything is
slow, the adapter also offers ``survey`` with the same arguments: the same release without report texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
import pandas as pd

from benchmark.common.errors import UserError

INDEX_COLUMNS = ("image_id", "path", "patient_id", "study_id", "split", "view", "report", "normal")
REGION_COLUMNS = ("image_id", "finding", "kind", "x_min", "y_min", "x_max", "y_max", "rle", "side", "zone")
MASK_SIZE = ("mask_height", "mask_width")
"""Columns of an adapter's regions that ``prepare`` compares with the image and drops."""
FRONTAL = ("PA", "AP", "frontal")
OVERHANG = 0.01
"""Share of the image's side by which a box may stick out and is clipped (rounding in the releases)."""
LONGEST_PATH = 250
"""Bytes of an image's path; file systems refuse names above 255."""


@dataclass(frozen=True)
class Exclusion:
    """Rows of the release that are not used, and why."""

    reason: str
    names: tuple[str, ...]
    incomplete: bool = False
    """The release has them, this copy has not: they count against ``cohort.max_missing``."""


@dataclass(frozen=True)
class Release:
    """One dataset as its release describes it, before any image is opened."""

    index: pd.DataFrame
    """``INDEX_COLUMNS`` and one ``label:<Finding>`` column per finding (Int8); one row an image."""
    regions: pd.DataFrame
    """``REGION_COLUMNS`` and ``MASK_SIZE`` as the release writes them: corners in pixels of the original, or in
    fractions of its width and height where ``kind`` is ``fraction`` (``prepare`` turns those into boxes)."""
    findings: tuple[str, ...]
    """Published names in published order; the normal class is the column ``normal``."""
    labels: str
    """Name of the label set in use."""
    version: str
    """Which release the tree looks like, in words."""
    cluster: Literal["patient", "image"] = "patient"
    grounding_truth: Literal["box", "mask", "zone", "none"] = "none"
    credentialed: bool = True
    """Access to the real release is granted to named persons only."""
    exclusions: tuple[Exclusion, ...] = ()
    notes: tuple[str, ...] = ()
    rows: int = 0
    """Rows of the release's main table (reports, for Open-I)."""
    published_rows: int = 0
    """How many the published one has."""


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
        UserError: names the image's number among those in use.
    """
    for number, path in enumerate(paths, start=1):
        parts = PurePosixPath(path).parts
        if not parts or parts[0] == "/" or ".." in parts or "\0" in path or len(path.encode()) > LONGEST_PATH:
            raise UserError(
                f"the path that the tables give image {number} of {len(paths)} cannot lie inside the release's "
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

"""A table of scores, joined to its cohort by image and never by position.

An image without a score, a score without an image, or a value that is no number is refused. (The published evaluation
skipped missing images but kept their labels, so that rows slid against each other.)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.artifacts.cohort import Cohort
from benchmark.artifacts.stages import again
from benchmark.common.errors import UserError
from benchmark.pipeline import layout

FINDING = "finding:"
"""Prefix of the column of a finding's score."""
THUMBNAIL = "thumbnail"
"""Column of probe/<dataset>.parquet: how normal a 16 x 16 thumbnail looks, the floor of a normal AUC."""


def aligned(table: pd.DataFrame, image_ids: pd.Series, path: Path) -> pd.DataFrame:
    """Rows of ``table`` in the order of ``image_ids``, one each.

    Raises:
        UserError: an image is doubled, unknown or missing; names the file and the image.
    """
    if "image_id" not in table:
        raise UserError(f"{path}: expected a column 'image_id', found {list(table.columns)[:5]}; run {again(path)}.")
    if (doubled := table["image_id"].duplicated()).any():
        raise UserError(
            f"{path}, row {int(doubled.argmax())}: image '{table.image_id[doubled.argmax()]}' is listed twice."
        )
    ids = pd.Index(table["image_id"])
    if len(unknown := ids.difference(image_ids)):
        raise UserError(f"{path}: image '{unknown[0]}' is not in the cohort ({len(unknown)} such); run {again(path)}.")
    if len(missing := pd.Index(image_ids).difference(ids)):
        raise UserError(f"{path}: image '{missing[0]}' has no score ({len(missing)} such); run {again(path)}.")
    return table.set_index("image_id").loc[image_ids].reset_index()


def numbers(table: pd.DataFrame, columns: list[str], path: Path) -> NDArray[np.float64]:
    """Columns as (n, K) float64, all finite.

    Raises:
        UserError: a column is missing or holds a value that is no number; names file, row and column.
    """
    if missing := [column for column in columns if column not in table]:
        raise UserError(f"{path}: column '{missing[0]}' is missing; run {again(path)}.")
    values = table[columns].to_numpy(np.float64, na_value=np.nan)
    if not np.isfinite(values).all():
        row, column = (int(k) for k in np.argwhere(~np.isfinite(values))[0])
        raise UserError(
            f"{path}, row {row}, column '{columns[column]}': expected a finite number, "
            f"found {values[row, column]}; run {again(path)}."
        )
    return values


def check_cohort(path: Path, card: dict[str, Any], cohort: Cohort) -> None:
    """Refuse scores of another cohort than the one that lies on disk.

    Args:
        path: score.json or probe.json.
        card: what it holds.
        cohort: the images that are about to be measured.

    Raises:
        UserError: names the file and both fingerprints.
    """
    found = card.get("cohort_hash", {}).get(cohort.dataset)
    if found != cohort.fingerprint:
        raise UserError(
            f"{path}: {cohort.dataset} was scored as cohort {str(found)[:12]}, but {layout.cohort(cohort.dataset)} "
            f"holds {cohort.fingerprint[:12]}; score again, these numbers cannot be compared."
        )

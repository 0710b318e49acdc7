"""Text columns of a release's table as labels and numbers; what is neither is refused with its row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.cohort.privacy import cell_shown, row_of
from benchmark.common.errors import UserError

LABEL_VALUES: dict[str, Any] = {"": pd.NA, "1": 1, "1.0": 1, "0": 0, "0.0": 0, "-1": -1, "-1.0": -1}
"""How the releases write a label: positive, negative, uncertain, not mentioned."""


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

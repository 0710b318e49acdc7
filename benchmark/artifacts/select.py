"""Rows of a results table, and which of them may be called best."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmark.artifacts.columns import PRIMARY_RULES

Row = Mapping[Any, Any]
NOT_ESTIMABLE = "not estimable"
"""How the note of a number begins whose interval would be so wide that it says nothing."""


def rows(table: pd.DataFrame, **equal: Any) -> pd.DataFrame:
    """Rows whose columns equal the values given (a tuple: one of them); nothing from an empty table."""
    if table.empty:
        return table
    for name, value in equal.items():
        table = table[table[name].isin(value) if isinstance(value, tuple) else table[name] == value]
    return table


def one(table: pd.DataFrame, **equal: Any) -> Row | None:
    """The single row that fits, or None."""
    found = rows(table, **equal)
    return found.iloc[0].to_dict() if len(found) else None


def primary(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``PRIMARY_RULES``, where the table has a column of threshold rules."""
    return rows(table, rule=PRIMARY_RULES) if "rule" in table else table


def difference(table: pd.DataFrame, a: str, b: str, **equal: Any) -> Row | None:
    """The paired difference a - b, read from the row of (b, a) with its sign turned where that is stored.

    Of an error rate, which has a difference under each threshold rule, that of ``PRIMARY_RULES``.
    """
    equal = {"rule": PRIMARY_RULES, **equal} if "rule" in table else equal
    if (found := one(table, a=a, b=b, **equal)) is not None:
        return found
    found = one(table, a=b, b=a, **equal)
    return None if found is None else turned(found)


def turned(row: Row) -> Row:
    """The difference b - a from that of a - b."""
    sides = {"a": row["b"], "b": row["a"], "estimate": -row["estimate"], "low": -row["high"], "high": -row["low"]}
    return {**row, **sides}


def is_inverted(high: float) -> bool:
    """Whether a ranking is inverted: the whole interval of its AUC lies below chance (flipped, it has 1 - AUC)."""
    return bool(high < 0.5)


def is_significant(row: Row, level: float = 0.95) -> bool:
    """Whether a difference excludes zero: by its adjusted p where it belongs to a family, else by its interval."""
    if pd.notna(row.get("p_holm")):
        return bool(row["p_holm"] < 1 - level)
    return bool(pd.notna(row["low"]) and (row["low"] > 0 or row["high"] < 0))


def best(estimates: Mapping[str, float], differences: pd.DataFrame, level: float, **equal: Any) -> str | None:
    """The system whose estimate is significantly above every other's; None where none is.

    Args:
        estimates: system to estimate, higher is better.
        differences: paired differences.
        level: confidence level.
        equal: the dataset, quantity and score that the differences must concern.
    """
    known = {name: value for name, value in estimates.items() if pd.notna(value)}
    if len(known) < 2:
        return None
    leader = max(known, key=lambda name: known[name])
    for other in known:
        if other == leader:
            continue
        row = difference(differences, leader, other, **equal)
        if row is None or row["estimate"] <= 0 or not is_significant(row, level):
            return None
    return leader

"""Nothing is called best, better or worse unless the interval says so."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from benchmark.artifacts import select


def differences(*rows):
    names = ["a", "b", "estimate", "low", "high", "p_holm"]
    return pd.DataFrame([dict(zip(names, row, strict=True)) for row in rows]).assign(
        dataset="d", quantity="q", score=""
    )


WHERE = {"dataset": "d", "quantity": "q", "score": ""}


def test_a_difference_stored_the_other_way_round_is_turned():
    table = differences(("x", "y", 0.1, 0.05, 0.2, 0.01))
    turned = select.difference(table, "y", "x", **WHERE)
    assert (turned["estimate"], turned["low"], turned["high"]) == (-0.1, -0.2, -0.05)
    assert select.difference(table, "x", "z", **WHERE) is None


@pytest.mark.parametrize(
    ("low", "high", "p_holm", "expected"),
    [(0.1, 0.2, math.nan, True), (-0.1, 0.2, math.nan, False), (0.1, 0.2, 0.2, False), (-0.1, 0.2, 0.01, True)],
)
def test_a_declared_comparison_is_judged_by_holm_and_another_by_its_interval(low, high, p_holm, expected):
    row = {"estimate": 0.1, "low": low, "high": high, "p_holm": p_holm}
    assert select.is_significant(row, 0.95) is expected


def test_best_must_beat_every_other_system():
    clear = differences(("x", "y", 0.2, 0.1, 0.3, 0.01), ("x", "z", 0.3, 0.2, 0.4, 0.01))
    assert select.best({"x": 0.9, "y": 0.7, "z": 0.6}, clear, 0.95, **WHERE) == "x"
    close = differences(("x", "y", 0.01, -0.1, 0.1, math.nan), ("x", "z", 0.3, 0.2, 0.4, 0.01))
    assert select.best({"x": 0.9, "y": 0.89, "z": 0.6}, close, 0.95, **WHERE) is None


def test_one_system_alone_is_not_best():
    assert select.best({"x": 0.9, "y": math.nan}, differences(("x", "y", 0.2, 0.1, 0.3, 0.0)), 0.95, **WHERE) is None

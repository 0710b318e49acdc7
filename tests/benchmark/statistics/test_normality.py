"""The three normality scores, the further wordings, and the flag of an inverted ranking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.artifacts.select import is_inverted
from benchmark.common.errors import UserError
from benchmark.statistics.normality import normality_scores

TABLE = pd.DataFrame(
    {
        "image_id": ["a", "b"],
        "finding:Edema": [0.2, -1.0],
        "finding:Hernia": [0.5, -3.0],
        "normal:no_finding": [1.0, 2.0],
        "normal:clear_lungs": [7.0, 8.0],
        "normal:ensemble": [4.0, 5.0],
        "abnormal:abnormality": [0.25, 3.0],
        "abnormal:disease": [1.0, 1.0],
        "abnormal:ensemble": [0.5, 2.0],
    }
)


def test_three_main_scores_then_every_further_wording() -> None:
    scores = normality_scores(TABLE, Path("x.parquet"))
    assert {name: list(values) for name, values in scores.items()} == {
        "prompt": [1.0, 2.0],
        "one_minus_max": [0.5, 2.0],
        "contrast": [0.75, -1.0],
        "clear_lungs": [7.0, 8.0],
        "ensemble": [4.0, 5.0],
        "contrast:disease": [0.0, 1.0],
        "contrast:ensemble": [3.5, 3.0],
    }
    assert list(scores)[:3] == ["prompt", "one_minus_max", "contrast"]


@pytest.mark.parametrize("prefix", ["normal:", "abnormal:", "finding:"])
def test_a_table_without_a_kind_of_prompt_is_refused(prefix: str) -> None:
    table = TABLE[[name for name in TABLE if not name.startswith(prefix)]]
    with pytest.raises(UserError, match=rf"x\.parquet: expected columns '{prefix}\.\.\.'"):
        normality_scores(table, Path("x.parquet"))


def test_a_score_that_is_no_number_is_named_by_row_and_column() -> None:
    table = TABLE.copy()
    table.loc[1, "finding:Hernia"] = np.nan
    with pytest.raises(UserError, match=r"x\.parquet, row 1, column 'finding:Hernia': expected a finite number"):
        normality_scores(table, Path("x.parquet"))


def test_only_an_interval_wholly_below_chance_is_inverted() -> None:
    assert is_inverted(0.49)
    assert not is_inverted(0.5)
    assert not is_inverted(float("nan"))

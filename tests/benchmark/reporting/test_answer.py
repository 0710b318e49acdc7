"""The first page says what the numbers say, whichever way they fall."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmark import evidence, layout, settings
from benchmark.reporting import answer


def rewrite(estimate, low, high, p_holm=None):
    """Put one difference of OFF-CLIP and CARZero in normal AUC everywhere."""
    path = layout.RESULTS / "differences.csv"
    table = pd.read_csv(path)
    chosen = (table.a == "offclip") & (table.b == "carzero") & (table.quantity == "normal_auc")
    table.loc[chosen, ["estimate", "low", "high"]] = [estimate, low, high]
    table.loc[chosen, "p_holm"] = p_holm
    table.to_csv(path, index=False)


@pytest.mark.parametrize(
    ("numbers", "opening", "shown"),
    [
        ((0.2, 0.1, 0.3), "Yes:", "0.200 [0.100, 0.300]"),
        ((-0.2, -0.3, -0.1), "No:", "lower than CARZero's by 0.200 [0.100, 0.300]"),
        ((0.05, -0.1, 0.2), "Not shown:", "+0.050 [−0.100, 0.200]"),
    ],
)
def test_headline_follows_the_interval(reported, numbers, opening, shown):
    rewrite(*numbers)
    headline = answer.compose(evidence.load(settings.load()))["headline"]
    assert headline.startswith(opening)
    assert shown in headline


def test_a_gain_that_holm_does_not_confirm_is_not_called_plainly_better(reported):
    rewrite(0.2, 0.1, 0.3, p_holm=0.4)
    table = answer.by_dataset(evidence.load(settings.load()))
    assert {row[-1].text for row in table.rows} == {"better, but not after Holm's adjustment"}


def test_more_errors_are_worse():
    row = {"estimate": 0.2, "low": 0.1, "high": 0.3, "p_holm": float("nan")}
    assert answer.reading(row, 0.95, more_is_better=False) == "worse"
    assert answer.reading(row, 0.95) == "better"


def test_costs_name_abnormal_auc_false_negatives_and_the_other_normality_scores(reported):
    words = [row[0].text for row in answer.costs(evidence.load(settings.load())).rows]
    assert words == [what for *_, what, _ in answer.COSTS]


def test_a_comparison_without_the_two_systems_says_so(reported):
    text = layout.PARAMS.read_text().replace("- offclip\n", "", 1)
    layout.PARAMS.write_text(text)
    found = evidence.load(settings.load())
    assert answer.pair(found) is None
    assert "do not include both" in answer.compose(found)["headline"]


def test_a_partly_phantom_run_names_what_is_rendered(reported):
    found = evidence.load(settings.load())
    found.cards["open_i"]["phantom"] = False
    assert found.mark == "PARTLY PHANTOM"
    banner = answer.compose(found)["banner"]
    assert "VinDr-CXR" in banner
    assert "Open-I" not in banner

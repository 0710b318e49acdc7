"""The first page says what the numbers say, whichever way they fall."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from benchmark.artifacts import evidence
from benchmark.pipeline import layout, settings
from benchmark.reporting import answer


def rewrite(estimate, low, high, p_holm=None, quantity="normal_auc"):
    """Put one difference of OFF-CLIP and CARZero in a quantity everywhere."""
    path = layout.RESULTS / "differences.csv"
    table = pd.read_csv(path)
    chosen = (table.a == "offclip") & (table.b == "carzero") & (table.quantity == quantity)
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
    for quantity, *_ in answer.COSTS:
        rewrite(0.0, -0.1, 0.1, quantity=quantity)
    rewrite(*numbers)
    headline = answer.compose(evidence.load(settings.load()))["headline"]
    assert headline.startswith(opening)
    assert shown in headline


@pytest.mark.parametrize("side", [1, -1])
def test_a_gain_with_a_price_is_mixed(reported, side):
    rewrite(0.2 * side, *sorted((0.1 * side, 0.3 * side)))
    rewrite(-0.05 * side, *sorted((-0.08 * side, -0.02 * side)), quantity="abnormal_auc")
    assert answer.compose(evidence.load(settings.load()))["headline"].startswith("Mixed: over the four datasets")


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


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((-0.05, -0.08, -0.02), "is worse in abnormal AUC, macro over findings (−0.050 [−0.080, −0.020])"),
        ((0.05, 0.02, 0.08), "is better in abnormal AUC, macro over findings (+0.050 [0.020, 0.080])"),
    ],
)
def test_the_headline_is_followed_by_its_price(reported, numbers, said):
    rewrite(*numbers, quantity="abnormal_auc")
    assert said in answer.compose(evidence.load(settings.load()))["price"]


def test_only_significant_differences_are_bold(reported):
    rewrite(0.05, -0.1, 0.2)
    found = evidence.load(settings.load())
    assert not any(cell.bold for row in answer.by_dataset(found).rows for cell in row)
    rewrite(0.05, 0.01, 0.2)
    found = evidence.load(settings.load())
    assert all(row[3].bold for row in answer.by_dataset(found).rows)


def test_intervals_are_named_by_the_level_that_was_measured(reported):
    found = evidence.load(settings.load())
    statistics = found.settings.statistics.model_copy(update={"level": 0.9})
    found = replace(found, settings=found.settings.model_copy(update={"statistics": statistics}))
    words = answer.by_dataset(found).caption + str(answer.costs(found).columns)
    assert "90 % interval" in words
    assert "95 %" not in words


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

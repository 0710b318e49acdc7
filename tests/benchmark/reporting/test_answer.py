"""The first page says what the numbers say, whichever way they fall."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import yaml

from benchmark.artifacts import evidence
from benchmark.pipeline import layout, settings
from benchmark.reporting import answer, glance, headline
from benchmark.reporting.answer import COSTS, DETECTION


def rewrite(estimate, low, high, p_holm=None, quantity="normal_auc", score=None):
    """Put one difference of OFF-CLIP and CARZero in a quantity everywhere."""
    path = layout.RESULTS / "differences.csv"
    table = pd.read_csv(path)
    chosen = (table.a == "offclip") & (table.b == "carzero") & (table.quantity == quantity)
    chosen &= True if score is None else table.score == score
    table.loc[chosen, ["estimate", "low", "high"]] = [estimate, low, high]
    table.loc[chosen, "p_holm"] = p_holm
    table.to_csv(path, index=False)


def nothing_differs():
    for asked in (*DETECTION, *COSTS):
        rewrite(0.0, -0.1, 0.1, quantity=asked.quantity)


def found():
    return evidence.load(settings.load())


@pytest.mark.parametrize(
    ("numbers", "word", "shown"),
    [
        ((0.2, 0.1, 0.3), "Better", "+0.200 [0.100, 0.300]"),
        ((-0.2, -0.3, -0.1), "Worse", "−0.200 [−0.300, −0.100]"),
        ((0.05, -0.1, 0.2), "No difference shown", "+0.050 [−0.100, 0.200]"),
    ],
)
def test_headline_follows_the_interval(reported, numbers, word, shown):
    nothing_differs()
    rewrite(*numbers)
    said = answer.compose(found())["headline"]
    assert said.startswith(f"{word}: OFF-CLIP minus CARZero in normal AUC is {shown}")


@pytest.mark.parametrize("side", [1, -1])
def test_a_gain_with_a_price_is_mixed(reported, side):
    nothing_differs()
    rewrite(0.2 * side, *sorted((0.1 * side, 0.3 * side)))
    rewrite(-0.05 * side, *sorted((-0.08 * side, -0.02 * side)), quantity="abnormal_auc")
    assert answer.word(found()) == "Mixed"


def test_a_worse_worst_wording_makes_a_gain_mixed(reported):
    nothing_differs()
    rewrite(0.2, 0.1, 0.3, score="prompt")
    assert answer.word(found()) == "Better"
    rewrite(-0.2, -0.3, -0.1, score="worst_wording")
    assert answer.word(found()) == "Mixed"


def test_a_gain_that_holm_does_not_confirm_is_none(reported):
    nothing_differs()
    rewrite(0.2, 0.1, 0.3, p_holm=0.4)
    assert answer.word(found()) == "No difference shown"
    assert "p = 0.400 after Holm's adjustment" in answer.compose(found())["headline"].replace("\u00a0", " ")
    assert {row[-1].text for row in headline.answer(found()).rows} == {"better, unadjusted"}


def test_the_headline_says_what_the_design_could_have_seen(reported):
    table = pd.read_csv(layout.RESULTS / "differences.csv")
    one = table[(table.a == "offclip") & (table.b == "carzero") & (table.dataset == "overall")]
    one = one[(one.quantity == "normal_auc") & (one.score == "prompt")]
    said = answer.compose(found())["headline"]
    assert f"this design finds {one.detectable.item():.3f} with 80 % power" in said


def test_more_errors_are_worse():
    row = {"estimate": 0.2, "low": 0.1, "high": 0.3, "p_holm": float("nan")}
    assert answer.reading(row, 0.95, more_is_better=False) == "worse"
    assert answer.reading(row, 0.95) == "better"


def test_the_decision_shows_every_quantity_that_the_headline_weighs(reported):
    table = glance.decision(found())
    assert [row[0].text for row in table.rows] == [asked.words for asked in (*DETECTION, *COSTS)]
    assert "From scratch" not in [column.title for column in table.columns]


def test_every_compared_system_stands_on_the_first_page_with_its_interval_over_the_datasets(reported):
    table = glance.systems(found())
    assert [row[1].text for row in table.rows] == ["CLIP", "CARZero", "OFF-CLIP"]
    values = pd.read_csv(layout.RESULTS / "auc.csv", dtype={"seed": str})
    chosen = values[(values.dataset == "overall") & (values.seed == "all") & (values.system == "offclip")]
    worst = chosen[(chosen.score == "worst_wording") & (chosen.progress == 1.0)].iloc[0]
    assert table.rows[-1][3].text == f"{worst.estimate:.3f}\n[{worst.low:.3f}, {worst.high:.3f}]"


def test_the_gain_is_split_into_filter_and_objective(reported):
    table = glance.parts(found())
    assert [row[1].text for row in table.rows] == [
        *("Objective alone", "Captions alone", "Objective, given captions", "Captions, given objective", "Both")
    ]
    by_change = table.data[(table.data.quantity == "normal_auc") & (table.data.score == "prompt")].set_index("change")
    both = by_change.estimate["objective alone"] + by_change.estimate["captions, given objective"]
    assert by_change.estimate["both"] == pytest.approx(both)


def test_the_primary_endpoint_is_a_setting(reported):
    values = yaml.safe_load(layout.PARAMS.read_text())
    values["statistics"]["primary"] = {"a": "clip", "b": "carzero", "quantity": "abnormal_auc"}
    layout.PARAMS.write_text(yaml.safe_dump(values))
    said = answer.compose(found())
    assert said["title"] == "Does CLIP detect normal chest radiographs better?"
    assert "CLIP minus CARZero in abnormal AUC is" in said["headline"]


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ((-0.05, -0.08, -0.02), "is worse in abnormal AUC (−0.050)"),
        ((0.05, 0.02, 0.08), "better in abnormal AUC (+0.050)"),
    ],
)
def test_the_headline_is_followed_by_its_price(reported, numbers, said):
    nothing_differs()
    rewrite(*numbers, quantity="abnormal_auc")
    assert said in answer.compose(found())["price"]


def test_only_significant_differences_are_bold(reported):
    rewrite(0.05, -0.1, 0.2)
    assert not any(cell.bold for row in headline.answer(found()).rows for cell in row)
    rewrite(0.05, 0.01, 0.2)
    assert all(row[3].bold for row in headline.answer(found()).rows)


def test_intervals_are_named_by_the_level_that_was_measured(reported):
    evidence_ = found()
    statistics = evidence_.settings.statistics.model_copy(update={"level": 0.9})
    other = replace(evidence_, settings=evidence_.settings.model_copy(update={"statistics": statistics}))
    words = headline.answer(other).caption + glance.decision(other).caption + glance.systems(other).caption
    assert "90 % interval" in words
    assert "95 %" not in words


def test_a_comparison_without_the_two_systems_says_so(reported):
    text = layout.PARAMS.read_text().replace("- offclip\n", "", 1)
    layout.PARAMS.write_text(text)
    assert answer.pair(found()) is None
    assert "do not include both" in answer.compose(found())["headline"]
    assert not glance.decision(found()).rows


def test_a_partly_phantom_run_names_what_is_rendered(reported):
    evidence_ = found()
    evidence_.cards["open_i"]["phantom"] = False
    assert evidence_.mark == "PARTLY PHANTOM"
    banner = answer.compose(evidence_)["banner"]
    assert "VinDr-CXR" in banner
    assert "Open-I" not in banner

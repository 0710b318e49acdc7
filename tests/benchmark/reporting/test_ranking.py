"""Page one of released models alone: what it says of the best follows the tests of all pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
import yaml

from benchmark.artifacts import evidence
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import detail, headline, ranking, releases
from tests.benchmark import measured_run, synthetic_run
from tests.benchmark.measured_run import working_in
from tests.repository import REPOSITORY

PROFILE = yaml.safe_load((REPOSITORY / "profiles" / "released.yaml").read_text())
NINE = tuple(PROFILE["compare"])


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Evidence:
    """All nine, each better than the one before by the same step; RadZero far better."""
    root = tmp_path_factory.mktemp("nine")
    with pytest.MonkeyPatch.context() as patch:
        for place, name in enumerate(NINE):
            skill = 2.5 if name == "radzero" else 0.4 + 0.08 * place
            patch.setitem(synthetic_run.SKILL, name, synthetic_run.Skill(skill, 1.0))
        settings = measured_run.write(
            root, images=80, replicates=60, seeds=(0,), systems=NINE, ablation=(), released=NINE,
            profile=PROFILE["systems"],
        )  # fmt: skip
    with working_in(root):
        loaded = evidence.load(settings)
        for name in ("auc", "grounding", "differences", "ranking", "ceiling", "embedding", "operating"):
            loaded.results[name]  # read while the folder is the working directory
        for run in loaded.runs:
            assert run.card
        return loaded


def with_ranking(found: Evidence, **columns: Any) -> Evidence:
    """The same with columns of ranking.csv replaced."""

    class Changed:
        def __getitem__(self, name: str) -> pd.DataFrame:
            table = found.results[name]
            return table.assign(**columns) if name == "ranking" else table

    return replace(found, results=Changed())  # type: ignore[arg-type]


def test_the_best_is_named_with_its_lead_over_the_second(found: Evidence) -> None:
    order = ranking.ranked(found)
    said = ranking.compose(found, order)
    assert order[0] == "radzero"
    assert sorted(order) == sorted(NINE)
    assert said["headline"].startswith("RadZero has a normal AUC of 0.")
    assert f"more than every other model; {found.label(order[1])}, the second, is lower by 0." in said["headline"]
    assert "there is no budget and no training seed" in said["nature"]


def test_models_that_cannot_be_told_apart_are_named(found: Evidence) -> None:
    order = ranking.ranked(found)
    undecided = with_ranking(found, p_holm=[1.0] * 36)
    said = ranking.compose(undecided, order)["headline"]
    assert said.startswith("Not decided: RadZero")
    assert said.count(",") >= 8
    rows = {row[1].text: row[5].text for row in ranking.table(undecided, order).rows}
    assert rows["RadZero (seen?)"] == "the best"
    assert set(rows.values()) == {"the best", "not told apart"}


def test_differences_from_the_best_are_read_in_either_direction(found: Evidence) -> None:
    order = ranking.ranked(found)
    for system in order[1:]:
        row = ranking.from_best(found, system, order[0])
        assert row is not None
        assert row["estimate"] < 0
        assert row["low"] < row["estimate"] < row["high"]


def test_every_table_marks_what_a_model_has_seen(found: Evidence) -> None:
    for table in (headline.main(found), headline.normality(found), detail.operating(found), detail.grounding(found)):
        text = {row[1].text for row in table.rows}
        for marked in ("GLoRIA (seen)", "MedCLIP (seen)", "CheXzero (chosen on it)", "CARZero (reports seen)", "KAD"):
            assert marked in text, (table.name, marked)
    wide = detail.wordings(found)
    at = [column.title for column in wide.columns].index("GLoRIA")
    of = [row[0].text for row in wide.rows]
    assert wide.rows[of.index("CheXpert")][at].text.endswith(" (seen)")
    assert not wide.rows[of.index("Open-I")][at].text.endswith(")")
    marked = releases.marked(found, headline.differences(found)).data
    pair = marked[(marked["a"] == "kad") & (marked["b"] == "gloria_released")].set_index("dataset")["seen"]
    assert set(pair[["chexpert"]]) == {"gloria_released: seen"}
    assert set(pair[["open_i"]]) == {""}


def test_a_model_without_heatmaps_says_so_in_its_grounding_columns(found: Evidence) -> None:
    silent = next(run for run in found.runs if run.system == "medclip")
    silent.card["heatmaps"] = False
    grounding = found.results["grounding"]
    without = grounding[grounding["system"] != "medclip"]

    class Changed:
        def __getitem__(self, name: str) -> pd.DataFrame:
            return without if name == "grounding" else found.results[name]

    changed = replace(found, results=Changed())  # type: ignore[arg-type]
    try:
        rows = [row for row in headline.main(changed).rows if row[1].text.startswith("MedCLIP")]
        assert {row[5].text for row in rows} == {"no heatmap published"}
        assert len(rows) == 4
        rows = [row for row in detail.grounding(changed).rows if row[1].text.startswith("MedCLIP")]
        assert {row[3].text for row in rows} == {"no heatmap published"}
        (row,) = (r for r in ranking.beside(changed, ranking.ranked(found)).rows if r[0].text == "MedCLIP")
        assert row[-1].text == "no heatmap published"
    finally:
        del silent.card["heatmaps"]


def test_the_page_says_whose_words_asked(found: Evidence) -> None:
    assert releases.prompts(found) == "Every model was asked in the common words (prompts: common)."
    kad = next(run for run in found.runs if run.system == "kad")
    kad.card["prompts"] = "own"
    try:
        assert releases.prompts(found).startswith("KAD was asked in its own words (prompts: own), the others in")
        assert {row[0].text: row[4].text for row in releases.facts(found).rows}["KAD"] == "own"
    finally:
        del kad.card["prompts"]


def test_the_order_without_the_datasets_that_were_seen_is_given(found: Evidence) -> None:
    said = ranking.compose(found, ranking.ranked(found))["unseen"]
    assert said.startswith("Without CheXpert, which one of them was trained or chosen on, RadZero still comes first")


def test_what_was_left_out_is_said(found: Evidence) -> None:
    lacking = replace(found, absent={"kad": ["weights/KAD_512/best_valid.pt"]})
    assert releases.absent(lacking) == "Left out: KAD (weights/KAD_512/best_valid.pt is not there)."
    assert releases.absent(found) == ""

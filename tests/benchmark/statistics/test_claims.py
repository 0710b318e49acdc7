"""Verdicts: what an interval allows one to say, and what PHANTOM never allows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.artifacts.columns import OVERALL
from benchmark.common.errors import UserError
from benchmark.pipeline import layout, settings
from benchmark.statistics import claims
from benchmark.statistics.claims import Claim, judge, pairs, read, verdict
from benchmark.statistics.measure import COMPARED
from tests.repository import REPOSITORY

RISE = Claim(claim="rise", statement="", source="", rule="difference", published=0.61, a="offclip", b="carzero")
KEPT = Claim(claim="kept", statement="", source="", rule="not_worse", margin=0.02, a="offclip", b="carzero")
VALUE = Claim(claim="value", statement="", source="", rule="value", published=0.838, a="carzero")


@pytest.mark.parametrize(
    ("claim", "low", "high", "phantom", "expected"),
    [
        (RISE, 0.55, 0.65, False, "reproduced"),
        (RISE, 0.55, 0.65, True, "direction only"),
        (RISE, 0.01, 0.30, False, "direction only"),
        (RISE, -0.01, 0.30, False, "not reproduced"),
        (RISE, -0.30, -0.01, True, "not reproduced"),
        (RISE, np.nan, np.nan, False, "not testable here"),
        (KEPT, -0.01, 0.05, False, "reproduced"),
        (KEPT, -0.01, 0.05, True, "direction only"),
        (KEPT, -0.03, 0.05, False, "not reproduced"),
        (KEPT, -0.09, -0.03, False, "not reproduced"),
        (VALUE, 0.80, 0.85, False, "reproduced"),
        (VALUE, 0.70, 0.75, False, "not reproduced"),
        (VALUE, 0.80, 0.85, True, "not testable here"),
    ],
)
def test_verdict(claim: Claim, low: float, high: float, phantom: bool, expected: str) -> None:
    assert verdict(claim, (low + high) / 2, low, high, phantom)[0] == expected


def test_contradicted_and_undecided_are_distinguished() -> None:
    assert verdict(RISE, -0.2, -0.3, -0.1, True)[1].startswith("contradicted")
    assert verdict(RISE, 0.0, -0.1, 0.1, True)[1].startswith("undecided")


def test_every_shipped_claim_names_what_the_harness_measures() -> None:
    known = settings.load(REPOSITORY / layout.PARAMS)
    measured = {(key.quantity, key.score) for key in COMPARED}
    listed = read()
    assert len({claim.claim for claim in listed}) == len(listed)
    for claim in listed:
        assert {claim.a, claim.b} - {""} <= set(known.systems)
        assert claim.source
        if claim.rule in ("difference", "not_worse", "value"):
            assert (claim.quantity, claim.score) in measured
            assert set(claim.datasets()) <= {*layout.EVALUATION_DATASETS, OVERALL}
        if claim.rule == "elsewhere":
            assert claim.reason


def test_pairs_are_those_of_differences() -> None:
    assert pairs([RISE, KEPT, VALUE]) == [("offclip", "carzero")] * 2


def test_judge_finds_the_number_of_each_claim_and_says_when_there_is_none() -> None:
    shared = {"dataset": "vindr_cxr", "quantity": "normal_auc", "score": "prompt"}
    claim = RISE.model_copy(update=shared)
    differences = pd.DataFrame(
        [shared | {"rule": "", "a": "offclip", "b": "carzero", "estimate": 0.3, "low": 0.2, "high": 0.4}]
    )
    values = differences.drop(columns=["a", "b", "rule"]).assign(system="clip", seed="all", finding="", progress=1.0)
    ledger = pd.DataFrame({"system": ["offclip", "carzero", "clip"], "parameters": [9, 9, 7]})
    same = Claim(claim="same", statement="", source="", rule="same_parameters", a="offclip", b="carzero")
    listed = [claim, claim.model_copy(update={"b": "clip"}), VALUE, same, same.model_copy(update={"b": "clip"})]
    found = judge(listed, differences, values, ledger, phantom=True)
    assert list(found["verdict"]) == [
        "direction only",
        "not testable here",
        "not testable here",
        "reproduced",
        "not reproduced",
    ]
    assert found["estimate"][0] == 0.3
    assert list(found.columns) == list(claims.COLUMNS)


def test_a_macro_over_named_findings_has_a_name_of_its_own() -> None:
    named = VALUE.model_copy(
        update={"dataset": "chexpert", "quantity": "abnormal_auc", "findings": ("Edema", "Cardiomegaly")}
    )
    assert claims.subsets([named, RISE], "chexpert") == {"abnormal_auc_value": ("Edema", "Cardiomegaly")}
    assert claims.subsets([named, RISE], "open_i") == {}
    row = {"system": "carzero", "seed": "all", "finding": "", "progress": 1.0, "dataset": "chexpert", "score": ""}
    row |= {"low": 0.8, "high": 0.9, "estimate": 0.85}
    over_all = pd.DataFrame([row | {"quantity": "abnormal_auc"}])
    both = pd.concat([over_all, over_all.assign(quantity="abnormal_auc_value", low=0.1, high=0.2)])
    nothing = pd.DataFrame(columns=["a", "b"])
    assert judge([named], nothing, both, nothing, phantom=False).loc[0, "low"] == 0.1
    without = judge([named], nothing, over_all, nothing, phantom=False).iloc[0]
    assert without.verdict == "not testable here"
    assert "too few images" in without.note


def test_a_wrong_entry_is_named(tmp_path: Path) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text("- {claim: x, statement: y, source: z, rule: guess, a: offclip}\n")
    with pytest.raises(UserError, match=r"claims\.yaml, claim 1: `rule`"):
        read(path)


def test_an_error_rate_is_judged_at_youdens_threshold() -> None:
    update = {"dataset": "vindr_cxr", "quantity": "false_positive_rate", "score": "prompt", "published": None}
    row = {"dataset": "vindr_cxr", "quantity": "false_positive_rate", "score": "prompt", "a": "offclip", "b": "carzero"}
    rows = [
        row | {"rule": rule, "estimate": low + 0.1, "low": low, "high": low + 0.2}
        for rule, low in (("specificity_95", 0.5), ("youden", 0.1), ("sensitivity_95", 0.7))
    ]
    empty = pd.DataFrame(columns=["system", "seed"])
    found = judge([RISE.model_copy(update=update)], pd.DataFrame(rows), empty, empty, phantom=False)
    assert (found.loc[0, "low"], found.loc[0, "verdict"]) == (0.1, "reproduced")


@pytest.mark.parametrize(("measured", "expected"), [(192, "reproduced"), (110, "not testable here")])
def test_a_macro_over_fewer_findings_than_the_published_one_does_not_test_it(measured: int, expected: str) -> None:
    claim = VALUE.model_copy(update={"dataset": "padchest", "quantity": "abnormal_auc", "over": 192})
    row = {"system": "carzero", "seed": "all", "finding": "", "progress": 1.0, "dataset": "padchest", "score": ""}
    row |= {"quantity": "abnormal_auc", "low": 0.8, "high": 0.9, "estimate": 0.85, "positives": measured}
    nothing = pd.DataFrame(columns=["a", "b"])
    found = judge([claim], nothing, pd.DataFrame([row]), nothing, phantom=False).iloc[0]
    assert found.verdict == expected
    assert found.estimate == 0.85

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
from benchmark.statistics.differences import COMPARED
from tests.repository import REPOSITORY

RISE = Claim(claim="rise", statement="", source="", rule="difference", published=0.61, a="offclip", b="carzero")
KEPT = Claim(claim="kept", statement="", source="", rule="not_worse", margin=0.02, a="offclip", b="carzero")
VALUE = Claim(claim="value", statement="", source="", rule="value", published=0.838, a="carzero")


BETTER = RISE.model_copy(update={"published": None})
SCALED = {"tower": "vit", "size": 224}


@pytest.mark.parametrize(
    ("claim", "low", "high", "phantom", "expected"),
    [
        (RISE, 0.55, 0.65, False, "supported"),
        (RISE, 0.55, 0.65, True, "not testable here"),
        (RISE, 0.01, 0.30, False, "supported in direction"),
        (RISE, -0.01, 0.30, False, "inconclusive"),
        (RISE, -0.30, -0.01, False, "contradicted"),
        (RISE, np.nan, np.nan, False, "not testable here"),
        (BETTER, 0.01, 0.30, True, "supported"),
        (BETTER, -0.30, -0.01, True, "contradicted"),
        (BETTER, -0.01, 0.01, True, "inconclusive"),
        (KEPT, -0.01, 0.05, True, "supported"),
        (KEPT, -0.03, 0.05, False, "inconclusive"),
        (KEPT, -0.09, -0.03, False, "contradicted"),
        (VALUE, 0.80, 0.85, False, "supported"),
        (VALUE, 0.70, 0.75, False, "contradicted"),
        (VALUE, 0.90, 0.95, False, "contradicted"),
        (VALUE, 0.80, 0.85, True, "not testable here"),
    ],
)
def test_verdict(claim: Claim, low: float, high: float, phantom: bool, expected: str) -> None:
    assert verdict(claim, low, high, {}, phantom)[0] == expected


@pytest.mark.parametrize(
    ("low", "high", "note"),
    [(-0.01, 0.01, "equivalent within ±0.02"), (-0.01, 0.05, "not worse by 0.02"), (0.03, 0.05, "not worse by 0.02")],
)
def test_kept_tells_equivalence_from_non_inferiority(low: float, high: float, note: str) -> None:
    assert verdict(KEPT, low, high, {}, False)[1].startswith(note)


def test_a_magnitude_at_another_scale_is_not_tested_whatever_the_data_say() -> None:
    scaled = VALUE.model_copy(update={"scale": SCALED})
    for low, high in ((0.80, 0.85), (0.60, 0.65)):
        outcome, note = verdict(scaled, low, high, {"tower": "conv", "size": 224}, False)
        assert (outcome, note) == ("not testable here", "measured at another scale: tower conv (published vit)")
    assert verdict(scaled, 0.80, 0.85, SCALED, False)[0] == "supported"
    rise = RISE.model_copy(update={"scale": SCALED})
    assert verdict(rise, 0.55, 0.65, {"tower": "vit", "size": 64}, False)[0] == "supported in direction"


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
        [
            shared
            | {"rule": "", "a": "offclip", "b": "carzero", "estimate": 0.3, "low": 0.2, "high": 0.4}
            | {"detectable": 0.1}
        ]
    )
    values = differences.drop(columns=["a", "b", "rule"]).assign(system="clip", seed="all", finding="", progress=1.0)
    ledger = pd.DataFrame({"system": ["offclip", "carzero", "clip"], "parameters": [9, 9, 7]})
    same = Claim(claim="same", statement="", source="", rule="same_parameters", a="offclip", b="carzero")
    listed = [claim, claim.model_copy(update={"b": "clip"}), VALUE, same, same.model_copy(update={"b": "clip"})]
    found = judge(listed, differences, values, ledger, {}, phantom=False)
    assert list(found["verdict"]) == ["supported in direction", *["not testable here"] * 2, "fact", "fact"]
    assert list(found["note"][3:]) == ["the same parameters: 9 and 9", "different parameters: 9 and 7"]
    assert (found["estimate"][0], found["detectable"][0]) == (0.3, 0.1)
    turned = judge([claim.model_copy(update={"a": "carzero", "b": "offclip"})], differences, values, ledger, {}, False)
    assert (turned.loc[0, "low"], turned.loc[0, "verdict"]) == (-0.4, "contradicted")
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
    assert judge([named], nothing, both, nothing, {}, phantom=False).loc[0, "low"] == 0.1
    without = judge([named], nothing, over_all, nothing, {}, phantom=False).iloc[0]
    assert without.verdict == "not testable here"
    assert "too few images" in without.note


def test_a_wrong_entry_is_named(tmp_path: Path) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text("- {claim: x, statement: y, source: z, rule: guess, a: offclip}\n")
    with pytest.raises(UserError, match=r"claims\.yaml, claim 1: `rule`"):
        read(path)


def test_an_error_rate_is_judged_at_the_threshold_that_the_claim_names_else_at_youdens() -> None:
    update = {"dataset": "vindr_cxr", "quantity": "false_positive_rate", "score": "prompt", "published": None}
    row = {"dataset": "vindr_cxr", "quantity": "false_positive_rate", "score": "prompt", "a": "offclip", "b": "carzero"}
    rows = [
        row | {"rule": rule, "estimate": low + 0.1, "low": low, "high": low + 0.2}
        for rule, low in (("specificity_95", -0.5), ("youden", 0.1), ("sensitivity_95", 0.7))
    ]
    empty = pd.DataFrame(columns=["system", "seed"])
    found = judge([RISE.model_copy(update=update)], pd.DataFrame(rows), empty, empty, {}, phantom=False)
    assert (found.loc[0, "low"], found.loc[0, "verdict"]) == (0.1, "supported")
    named = RISE.model_copy(update=update | {"threshold": "specificity_95"})
    assert judge([named], pd.DataFrame(rows), empty, empty, {}, phantom=False).loc[0, "verdict"] == "contradicted"


@pytest.mark.parametrize(("measured", "expected"), [(192, "supported"), (110, "not testable here")])
def test_a_macro_over_fewer_findings_than_the_published_one_does_not_test_it(measured: int, expected: str) -> None:
    claim = VALUE.model_copy(update={"dataset": "padchest", "quantity": "abnormal_auc", "over": 192})
    row = {"system": "carzero", "seed": "all", "finding": "", "progress": 1.0, "dataset": "padchest", "score": ""}
    row |= {"quantity": "abnormal_auc", "low": 0.8, "high": 0.9, "estimate": 0.85, "positives": measured}
    nothing = pd.DataFrame(columns=["a", "b"])
    found = judge([claim], nothing, pd.DataFrame([row]), nothing, {}, phantom=False).iloc[0]
    assert found.verdict == expected
    assert found.estimate == 0.85

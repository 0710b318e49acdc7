"""``verify`` counts what agrees, names what does not and says why."""

from __future__ import annotations

import pandas as pd
import pytest
import yaml

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout
from benchmark.pipeline.settings import Endpoint, StatisticsSettings
from benchmark.tools import verify

KEYS = {"dataset": "open_i", "system": "clip", "quantity": "normal_auc", "score": "prompt"}


def auc(estimate, low=0.8, high=0.9):
    return {"auc": pd.DataFrame([{**KEYS, "estimate": estimate, "low": low, "high": high}])}


@pytest.mark.parametrize(
    ("found", "level"),
    [(0.85, "identical"), (0.8509, "equal"), (0.8491, "equal"), (0.8511, "differs"), (0.84, "differs")],
)
def test_a_number_is_identical_equal_within_rounding_or_differs(found, level):
    agreement = verify.compare(auc(0.85), auc(found))
    counted = {"identical": agreement.identical, "equal": agreement.equal, "differs": len(agreement.disagreements)}
    assert counted == {"identical": 0, "equal": 0, "differs": 0} | {level: 1}


def test_against_noise_a_number_may_move_as_far_as_other_seeds_would_move_it():
    reference = {"auc": auc(0.85)["auc"].assign(seeds=2, seed_sd=0.01)}
    for found, agrees in ((0.869, True), (0.871, False)):  # 2 x 0.01 x sqrt(2 / 2)
        assert (not verify.compare(reference, auc(found), against_noise=True).disagreements) is agrees
        assert verify.compare(reference, auc(found)).disagreements
    assert verify.compare(auc(0.85), auc(0.852), against_noise=True).disagreements


def test_a_missing_number_disagrees_and_a_new_one_is_not_counted():
    empty = {"auc": auc(0.85)["auc"].iloc[:0]}
    missing = verify.compare(auc(0.85), empty).disagreements
    assert "missing here" in str(missing[0])
    assert verify.compare(empty, auc(0.85)).numbers == 0


def test_the_worst_disagreement_comes_first_with_its_distance():
    reference = pd.concat([auc(0.85)["auc"], auc(0.85)["auc"].assign(system="offclip")])
    fresh = pd.concat([auc(0.95)["auc"], auc(0.99)["auc"].assign(system="offclip")])
    worst, other = verify.compare({"auc": reference}, {"auc": fresh}).disagreements
    assert (
        str(worst) == "auc open_i offclip normal_auc prompt: expected 0.8500, found 0.9900 (+0.1400, tolerance 0.0010)"
    )
    assert worst.excess == pytest.approx(140)
    assert "clip" in other.name


def test_a_run_agrees_with_the_reference_it_wrote(reported, capsys):
    assert verify.run(update=True) == 0
    assert verify.run() == 0
    said = capsys.readouterr().err.splitlines()[-1].split()  # "of N numbers N are identical, ..."
    assert said[1] == said[3]
    assert int(said[1]) > 100


def test_a_changed_number_is_named_with_the_likely_reason_and_a_failing_status(reported, capsys):
    verify.run(update=True)
    path = layout.RESULTS / "auc.csv"
    table = pd.read_csv(path, dtype={"seed": str})
    chosen = (table.dataset == "padchest") & (table.system == "clip") & (table.seed == "all") & table.finding.isna()
    chosen &= (table.quantity == "normal_auc") & (table.score == "prompt") & (table.progress == 1)
    assert chosen.sum() == 1
    table.loc[chosen, "estimate"] += 0.3
    table.to_csv(path, index=False)
    params = yaml.safe_load(layout.PARAMS.read_text())
    params["budget"]["amount"] = 1e12
    layout.PARAMS.write_text(yaml.safe_dump(params, sort_keys=False))
    assert verify.run() == 1
    said = capsys.readouterr().err
    assert "auc padchest clip normal_auc prompt: expected" in said
    assert "declared: normal_auc prompt, offclip - carzero: " in said
    assert "params.yaml differs: budget.amount is 1000000000000.0 (reference 2000000000000.0)" in said


def test_reasons_are_settings_precision_hardware_packages_and_code():
    present = {
        "params": {"a": {"b": 1}}, "precision": ["float32"], "hardware": ["X"], "versions": {"torch": "2"},
        "commit": "c" * 40,
    }  # fmt: skip
    assert verify.explain(present, present) == []
    reference = {
        "params": {"a": {"b": 2}}, "precision": ["bfloat16"], "hardware": ["Y"], "versions": {"torch": "1"},
        "commit": "d" * 40,
    }  # fmt: skip
    assert verify.explain(reference, present) == [
        "params.yaml differs: a.b is 1 (reference 2)",
        "trained in float32 (reference bfloat16)",
        "trained on X (reference Y)",
        "packages differ: torch 2 (reference 1)",
        "the code is at cccccccccccc (reference dddddddddddd)",
    ]
    del reference["precision"]
    assert "trained in float32 (reference not recorded)" in verify.explain(reference, present)


def test_the_reference_says_in_which_precision_its_runs_were_trained(reported):
    verify.run(update=True)
    assert files.read_json(verify.REFERENCE / verify.PROVENANCE)["precision"] == ["float32"]


def test_where_numbers_differ_the_declared_endpoints_stand_beside_the_reference():
    endpoint = {
        "dataset": "overall", "quantity": "normal_auc", "score": "prompt", "rule": "", "a": "offclip", "b": "carzero",
    }  # fmt: skip
    reference, fresh = (
        {"differences": pd.DataFrame([{**endpoint, "estimate": middle, "low": middle - 0.01, "high": middle + 0.01}])}
        for middle in (0.004, -0.02)
    )
    statistics = StatisticsSettings(secondary=[Endpoint(a="offclip", b="carzero", quantity="pointing")])
    assert verify.declared(statistics, reference, fresh) == [
        "  declared: normal_auc prompt, offclip - carzero: -0.020 [-0.030, -0.010], reference +0.004 [-0.006, +0.014]"
    ]
    assert verify.declared(statistics, {}, fresh) == []


def test_without_a_reference_one_sentence_says_how_to_write_it(reported):
    with pytest.raises(UserError, match=r"verify --update"):
        verify.run()


def test_a_reference_of_another_version_is_named(reported):
    verify.run(update=True)
    path = verify.REFERENCE / "differences.csv"
    pd.read_csv(path).drop(columns="rule").to_csv(path, index=False)
    with pytest.raises(UserError, match=r"differences\.csv lacks the column 'rule'.*verify --update"):
        verify.run()

"""The stage as a whole, on the synthetic run: every table, found truths, byte-for-byte repetition.

Over 300 lines on purpose: all of it looks at one run that was measured once, table by table.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score, roc_curve

from benchmark.artifacts import columns, select
from benchmark.artifacts.columns import THRESHOLD_RULES
from benchmark.artifacts.select import NOT_ESTIMABLE
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout, settings
from benchmark.statistics import claims, measure, operating
from benchmark.statistics.bootstrap import draw, resampled_ratios
from benchmark.statistics.claims import Claim
from benchmark.statistics.comparison import holm
from benchmark.statistics.intervals import interval
from benchmark.statistics.reliability import platt
from tests.benchmark import synthetic_run

TABLES = (
    *("auc", "grounding", "differences", "effects", "operating", "roc", "histograms"),
    *("ceiling", "undefined", "embedding", "claims", "ledger", "coverage"),
    *("finding_differences", "reliability", "subgroups", "ranking"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A measured synthetic run."""
    root = tmp_path_factory.mktemp("measured")
    synthetic_run.write(root, images=240, replicates=100, ablation=("carzero_filter", "offclip_nofilter"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        measure.run()
    return root


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A measured run of one seed and no ablation, as in profiles/quick.yaml, with a claim about two findings."""
    root = tmp_path_factory.mktemp("quick")
    synthetic_run.write(root, images=120, replicates=40, seeds=(0,), ablation=())
    named = Claim(
        claim="two", statement="", source="", rule="value", published=0.9, a="carzero", dataset="chexpert",
        quantity="abnormal_auc", findings=("Cardiomegaly", "Edema"),
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        listed = [*claims.read(), named]
        patch.setattr(claims, "read", lambda: listed)
        measure.run()
    return root


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / layout.RESULTS / f"{name}.csv", keep_default_na=False, na_values=["nan"])


def number(table: pd.DataFrame, **names: object) -> pd.Series:
    """The one row with these names, its numbers as numbers."""
    for column, value in names.items():
        table = table[table[column].astype(str) == str(value)]
    assert len(table) == 1, names
    return table.iloc[0]


def test_every_table_is_there_with_its_columns(folder: Path) -> None:
    assert {path.name for path in (folder / layout.RESULTS).iterdir()} == {
        *(f"{t}.csv" for t in TABLES),
        "summary.json",
    }
    for name in columns.COLUMNS:
        assert list(read(folder, name).columns) == columns.columns(name)
        assert len(read(folder, name)) or name == "ranking"  # which is of released models alone


def test_an_auc_is_scikit_learns_and_lies_in_its_interval(folder: Path) -> None:
    index = pd.read_parquet(folder / layout.cohort("open_i") / "index.parquet")
    scores = pd.read_parquet(folder / layout.scores("offclip", 1) / "open_i.parquet")
    values = read(folder, "auc")
    row = number(values, dataset="open_i", system="offclip", seed=1, score="prompt", progress=1.0)
    assert float(row.estimate) == pytest.approx(roc_auc_score(index.normal.astype(int), scores["normal:no_finding"]))
    finding = number(values, dataset="open_i", system="offclip", seed=1, finding="Cardiomegaly", progress=1.0)
    expected = roc_auc_score(index["label:Cardiomegaly"].astype(int), scores["finding:Cardiomegaly"])
    assert float(finding.estimate) == pytest.approx(expected)
    found = values[values.estimate.astype(str) != ""].astype({"low": float, "high": float, "estimate": float})
    assert ((found.low <= found.estimate) & (found.estimate <= found.high)).all()


def test_a_mean_over_seeds_is_the_mean_and_is_wider_for_their_spread(folder: Path) -> None:
    names = {"dataset": "chexpert", "system": "clip", "score": "prompt", "progress": 1.0}
    values = read(folder, "auc")
    one, two, both = (number(values, seed=seed, **names) for seed in (0, 1, "all"))
    assert float(both.estimate) == pytest.approx((float(one.estimate) + float(two.estimate)) / 2)
    assert float(both.seed_sd) == pytest.approx(np.std([float(one.estimate), float(two.estimate)], ddof=1))
    assert int(both.seeds) == 2


def test_the_macro_leaves_out_rare_findings_and_lists_them(folder: Path) -> None:
    undefined = read(folder, "undefined")
    rare = number(undefined, dataset="vindr_cxr")
    assert rare.finding == "Rib fracture"
    assert rare.reason == "positives of fewer than 10 patients"
    values = read(folder, "auc")
    chosen = values[(values.dataset == "vindr_cxr") & (values.system == "clip") & (values.seed.astype(str) == "0")]
    chosen = chosen[(chosen.quantity == "abnormal_auc") & (chosen.progress == 1.0)]
    assert "Rib fracture" not in set(chosen.finding)
    macro = chosen[chosen.finding == ""].estimate.astype(float).item()
    assert macro == pytest.approx(chosen[chosen.finding != ""].estimate.astype(float).mean())


def test_differences_are_those_of_the_tables_and_find_what_was_put_in(folder: Path) -> None:
    values, differences = read(folder, "auc"), read(folder, "differences")
    names = {"dataset": "padchest", "score": "prompt", "quantity": "normal_auc"}
    a, b = (
        number(values, system=system, seed="all", progress=1.0, **names).estimate for system in ("offclip", "carzero")
    )
    row = number(differences, a="offclip", b="carzero", **names)
    assert float(row.estimate) == pytest.approx(float(a) - float(b))
    overall = number(differences, a="offclip", b="carzero", **(names | {"dataset": "overall"}))
    assert float(overall.low) > 0
    parts = differences[(differences.a == "offclip") & (differences.b == "carzero") & (differences.score == "prompt")]
    parts = parts[(parts.quantity == "normal_auc") & (parts.dataset != "overall")]
    assert float(overall.estimate) == pytest.approx(parts.estimate.astype(float).mean())
    inverted = number(
        differences, a="offclip", b="carzero", **(names | {"dataset": "overall", "score": "one_minus_max"})
    )
    assert float(inverted.high) < 0


def test_effects_are_differences_and_their_interaction_the_difference_of_two(folder: Path) -> None:
    effects, differences = read(folder, "effects"), read(folder, "differences")
    names = {"quantity": "normal_auc", "score": "prompt"}
    for dataset in (*layout.EVALUATION_DATASETS, "overall"):
        alone = []
        for a, b in (("offclip", "offclip_nofilter"), ("carzero_filter", "carzero")):
            effect = number(effects, dataset=dataset, kind="effect", added=a, removed=b, **names)
            stored = differences[differences.quantity == "normal_auc"]
            stored = stored.astype({"estimate": float, "low": float, "high": float})
            difference = select.difference(stored, a, b, dataset=dataset, **names)
            assert difference is not None
            columns = ["estimate", "low", "high", "p"]
            assert [float(effect[c]) for c in columns] == pytest.approx([float(difference[c]) for c in columns])
            assert effect.effect.startswith("captions: raw → filtered")
            alone.append(float(effect.estimate))
        together = number(effects, dataset=dataset, kind="interaction", **names)
        assert together.added == "offclip+carzero"
        assert together.removed == "offclip_nofilter+carzero_filter"
        assert float(together.estimate) == pytest.approx(alone[0] - alone[1])
        assert float(together.low) < float(together.estimate) < float(together.high)
        # OFF-CLIP alone has skill here; without its filter it ranks like CARZero.
        assert float(together.low) > 0 or dataset != "overall"
        assert (float(together.p) < 0.05) == (float(together.low) > 0 or float(together.high) < 0)


def test_holm_covers_the_declared_family_alone(folder: Path) -> None:
    differences = read(folder, "differences")
    family = differences[differences.p_holm != ""]
    declared = settings.load(folder / layout.PARAMS).statistics
    endpoints = {(one.a, one.b, one.quantity, one.score) for one in (declared.primary, *declared.secondary)}
    measured = {key for key in endpoints if not {"offclip_scratch", "carzero_scratch"} & set(key)}
    assert set(zip(family.a, family.b, family.quantity, family.score, strict=True)) == measured
    assert set(family.dataset) == {*layout.EVALUATION_DATASETS, "overall"}
    assert len(family) == 5 * len(measured)
    assert (family.p_holm.astype(float) >= family.p.astype(float)).all()
    np.testing.assert_allclose(family.p_holm.astype(float), holm(family.p.to_numpy(float)))


def test_effects_are_adjusted_as_a_family_of_their_own(folder: Path) -> None:
    effects = read(folder, "effects")
    family = effects[effects.p_holm != ""]
    assert set(family.dataset) == {"overall"}
    assert set(zip(family.quantity, family.score, strict=True)) == {("normal_auc", "prompt"), ("abnormal_auc", "")}
    assert set(family.kind) == {"effect", "interaction"}
    np.testing.assert_allclose(family.p_holm.astype(float), holm(family.p.to_numpy(float)))


def test_the_worst_wording_is_the_least_of_the_wordings(folder: Path) -> None:
    values = read(folder, "auc")
    names = {"dataset": "open_i", "system": "clip", "seed": 1, "quantity": "normal_auc", "progress": 1.0}
    each = [
        float(number(values, score=score, **names).estimate) for score in ("prompt", *synthetic_run.NORMAL_WORDINGS[1:])
    ]
    assert float(number(values, score="worst_wording", **names).estimate) == min(each)
    assert float(number(values, score="best_wording", **names).estimate) == max(each)


def test_an_abnormal_auc_is_made_of_abnormal_and_of_normal_negatives(folder: Path) -> None:
    index = pd.read_parquet(folder / layout.cohort("open_i") / "index.parquet")
    scores = pd.read_parquet(folder / layout.scores("clip", 0) / "open_i.parquet")
    names = {"dataset": "open_i", "system": "clip", "seed": 0, "finding": "", "progress": 1.0}
    values = read(folder, "auc")
    defined = set(values[(values.dataset == "open_i") & (values.finding != "")].finding)
    for quantity, negatives in (("among_abnormals", index.normal == 0), ("against_normals", index.normal == 1)):
        expected = []
        for finding in sorted(defined):
            kept = (index[f"label:{finding}"] == 1) | negatives
            truth = index.loc[kept, f"label:{finding}"].astype(int)
            expected.append(roc_auc_score(truth, scores.loc[kept, f"finding:{finding}"]))
        found = number(values, quantity=f"abnormal_auc_{quantity}", **names)
        assert float(found.estimate) == pytest.approx(np.mean(expected))


def test_a_finding_that_a_system_detects_is_visible_whatever_the_reference_sees(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    truth = pd.read_parquet(layout.cohort("open_i") / "index.parquet")["label:Cardiomegaly"].to_numpy(np.float32)
    nothing = {"finding:Cardiomegaly": np.float32(0), "finding:Atelectasis": np.float32(0)}
    for path in (layout.PROBE / "open_i.parquet", *Path("scores").glob("*/open_i.parquet")):
        sees = {"finding:Cardiomegaly": truth} if path.parent.name.startswith("clip-") else {}
        files.write_parquet(path, pd.read_parquet(path).assign(**nothing | sees))
    measure.run()
    rows = read(tmp_path, "ceiling")
    visible = rows[(rows.dataset == "open_i") & (rows.finding != "")].set_index("finding").visible.astype(float)
    assert visible["Cardiomegaly"] == 1
    assert visible["Atelectasis"] == 0


def test_a_subgroup_has_the_auc_of_its_images(folder: Path) -> None:
    index = pd.read_parquet(folder / layout.cohort("padchest") / "index.parquet")
    scores = pd.read_parquet(folder / layout.scores("offclip", 0) / "padchest.parquet")["normal:no_finding"]
    rows = read(folder, "subgroups")
    assert set(rows.subgroup) == {"view"}  # the synthetic index tells no sex and no age
    for view in ("AP", "PA"):
        row = number(rows, dataset="padchest", system="offclip", seed=0, subgroup="view", level=view)
        mine = index["view"] == view
        assert float(row.estimate) == pytest.approx(roc_auc_score(index.normal[mine].astype(int), scores[mine]))
        assert int(row.n) == mine.sum()


def test_a_roc_curve_is_scikit_learns_within_its_band(folder: Path) -> None:
    index = pd.read_parquet(folder / layout.cohort("chexpert") / "index.parquet")
    abnormal = 1 - index.normal.to_numpy(int)
    curves = []
    for seed in (0, 1):
        scores = pd.read_parquet(folder / layout.scores("clip", seed) / "chexpert.parquet")["normal:no_finding"]
        false, true, _ = roc_curve(abnormal, -scores, drop_intermediate=False)
        curves.append((false, true))
    rows = read(folder, "roc")
    rows = rows[(rows.dataset == "chexpert") & (rows.system == "clip")].astype({"sensitivity": float})
    inside = slice(1, -1)  # at the ends several points share a rate
    expected = np.mean([np.interp(rows.false_positive_rate, *curve) for curve in curves], axis=0)
    np.testing.assert_allclose(rows.sensitivity.to_numpy()[inside], expected[inside], atol=0.03)
    assert (rows.low.astype(float) <= rows.sensitivity + 1e-9).mean() > 0.95
    assert (rows.high.astype(float) >= rows.sensitivity - 1e-9).mean() > 0.95


def test_findings_are_compared_one_by_one(folder: Path) -> None:
    values, rows = read(folder, "auc"), read(folder, "finding_differences")
    names = {"dataset": "chexpert", "finding": "Edema"}
    row = number(rows, a="offclip", b="carzero", **names)
    a, b = (
        float(number(values, system=system, seed="all", progress=1.0, **names).estimate)
        for system in ("offclip", "carzero")
    )
    assert float(row.estimate) == pytest.approx(a - b)
    assert float(row.low) < float(row.estimate) < float(row.high)


def test_delong_is_given_where_a_cluster_is_one_image(folder: Path) -> None:
    differences = read(folder, "differences")
    assert set(differences[differences.p_delong != ""].dataset) == {"vindr_cxr"}


def test_an_inverted_ranking_is_flagged(folder: Path) -> None:
    values = read(folder, "auc")
    flagged = values[(values.note == "inverted") & (values.progress == 1.0)]
    assert {("offclip", "one_minus_max")} == set(zip(flagged.system, flagged.score, strict=True))


def test_thresholds_come_from_the_validation_split_and_from_no_evaluation_image(folder: Path) -> None:
    index = pd.read_parquet(folder / layout.cohort("mimic_cxr") / "index.parquet")
    normal = index[index.split == "validate"].normal.to_numpy(float)
    column = "normal:no_finding"
    fitted = pd.read_parquet(folder / layout.scores("clip", 0) / "mimic_cxr.parquet")[column].astype(float)
    rows = read(folder, "operating")
    names = {"system": "clip", "seed": 0, "score": "prompt", "quantity": "false_positive_rate"}
    false, true, cuts = roc_curve(normal, fitted, drop_intermediate=False)
    youden = cuts[np.argmax(true - false)]
    for dataset in layout.EVALUATION_DATASETS:
        found = {rule: float(number(rows, dataset=dataset, rule=rule, **names).threshold) for rule in THRESHOLD_RULES}
        assert found["youden"] == pytest.approx(youden)
        assert np.mean(fitted[normal == 1] >= found["specificity_95"]) >= 0.95
        assert np.mean(fitted[normal == 1] > found["specificity_95"]) < 0.95
        assert np.mean(fitted[normal == 0] < found["sensitivity_95"]) >= 0.95
        test = pd.read_parquet(folder / layout.cohort(dataset) / "index.parquet").normal.to_numpy(float)
        scores = pd.read_parquet(folder / layout.scores("clip", 0) / f"{dataset}.parquet")[column].astype(float)
        false, true, cuts = roc_curve(test, scores, drop_intermediate=False)
        assert found["youden"] != pytest.approx(cuts[np.argmax(true - false)])  # where the evaluation set would put it
        row = number(rows, dataset=dataset, rule="youden", **names)
        assert float(row.estimate) == pytest.approx(np.mean(scores[test == 1] < youden))


def test_probabilities_are_calibrated_on_the_validation_split(folder: Path) -> None:
    index = pd.read_parquet(folder / layout.cohort("mimic_cxr") / "index.parquet")
    normal = index[index.split == "validate"].normal.to_numpy(float)
    column = "normal:no_finding"
    fitted = pd.read_parquet(folder / layout.scores("carzero", 1) / "mimic_cxr.parquet")[column].to_numpy()
    test = pd.read_parquet(folder / layout.cohort("chexpert") / "index.parquet").normal.to_numpy(float)
    scores = pd.read_parquet(folder / layout.scores("carzero", 1) / "chexpert.parquet")[column].to_numpy()
    names = {"dataset": "chexpert", "system": "carzero", "seed": 1, "score": "prompt", "quantity": "brier"}
    found = float(number(read(folder, "operating"), **names).estimate)
    assert found == pytest.approx(brier_score_loss(test, platt(normal, fitted)(scores)))
    assert found != pytest.approx(brier_score_loss(test, platt(test, scores)(scores)), abs=1e-5)


def test_every_row_says_what_it_was_made_from(folder: Path) -> None:
    for name in ("auc", "grounding", "operating", "differences", "effects", "embedding"):
        table = read(folder, name)
        assert (table["cohort_hash"] != "").all()
        for column in columns.HASHES:
            assert (table[column] != "").all() or set(table["system"][table[column] == ""]) == {columns.SUPERVISED}
    assert (read(folder, "ceiling")["cohort_hash"] != "").all()
    row = number(
        read(folder, "auc"), dataset="open_i", system="clip", seed=1, finding="Atelectasis", progress=1.0, score=""
    )
    assert tuple(row[columns.HASHES]) == ("cohort-open_i", "prompts", "weights-clip-1", "code")


def test_a_ceiling_of_another_cohort_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    card = files.read_json(layout.PROBE / "probe.json")
    files.write_json(layout.PROBE / "probe.json", card | {"cohort_hash": {"vindr_cxr": "older"}})
    with pytest.raises(UserError, match=r"probe\.json: vindr_cxr was scored as cohort older, .* cannot be compared"):
        measure.run()


def test_only_a_pointing_rate_has_a_chance(folder: Path) -> None:
    table = read(folder, "grounding")
    assert (table[table["measure"] == "pointing"]["chance"] != "").all()
    assert (table[table["measure"] != "pointing"]["chance"] == "").all()


def test_the_supervised_reference_is_pointed_and_resampled_as_a_system_is(folder: Path) -> None:
    table = read(folder, "grounding")
    mine = table[(table["system"] == columns.SUPERVISED) & (table["dataset"] == "vindr_cxr")]
    theirs = table[(table["system"] == "carzero") & (table["seed"] == "0") & (table["dataset"] == "vindr_cxr")]
    assert (set(mine["heatmap"]), set(theirs["heatmap"])) == ({columns.CELL}, {columns.PUBLISHED})
    keys = ["measure", "finding", "size"]
    assert set(map(tuple, mine[keys].to_numpy())) == set(map(tuple, theirs[keys].to_numpy()))
    assert set(mine["seed"]) == {"all"}
    rows = pd.read_parquet(folder / layout.PROBE / "pointing.parquet")
    rows = rows[rows["dataset"] == "vindr_cxr"]
    index = pd.read_parquet(folder / layout.cohort("vindr_cxr") / "index.parquet")
    patients = rows["image_id"].map(index.set_index("image_id")["patient_id"])
    enough = patients.groupby(rows["finding"]).nunique() >= 10
    hits = rows.groupby("finding")["hit"].mean()[enough]
    found = mine[(mine["measure"] == "pointing") & (mine["finding"] == "") & (mine["size"] == "all")].iloc[0]
    assert float(found["estimate"]) == pytest.approx(hits.mean(), abs=1e-6)
    assert float(found["low"]) < hits.mean() < float(found["high"])


def test_embeddings_are_resampled_by_patient(folder: Path) -> None:
    index = pd.read_parquet(folder / layout.cohort("mimic_cxr") / "index.parquet")
    validation = index[index.split == "validate"].drop_duplicates("study_id").reset_index(drop=True)
    with np.load(folder / layout.scores("clip", 0) / "similarity.npz") as stored:
        logits = stored["logits"].astype(float)
    scaled = np.diagonal((logits - logits.mean()) / logits.std())
    draws = draw(validation["patient_id"], 100, 11, "similarity")
    statistic = resampled_ratios(scaled[:, None], np.ones((len(scaled), 1)), draws)[0]
    found = number(read(folder, "embedding"), system="clip", seed=0, measure="logit_diagonal")
    expected = interval(statistic, "logit", 0.95, within=None)
    assert (float(found.low), float(found.high)) == pytest.approx((expected.low, expected.high), rel=1e-4)


def test_no_magnitude_is_tested_on_phantom(folder: Path) -> None:
    found = read(folder, "claims")
    assert set(found[found.published != ""].verdict) == {"not testable here"}
    assert set(found[found.verdict == "fact"].claim) == {"same_architecture"}
    judged = found[found.verdict.isin(["supported", "contradicted", "inconclusive"])]
    assert "supported" in set(judged.verdict)
    assert (judged.detectable.astype(float) > 0).all()


def test_each_pair_is_stored_in_one_direction(folder: Path) -> None:
    differences = read(folder, "differences")
    pairs = set(zip(differences.a, differences.b, strict=True))
    assert not pairs & {(b, a) for a, b in pairs}


def test_the_summary_holds_the_means_over_seeds(folder: Path) -> None:
    summary = files.read_json(folder / layout.RESULTS / "summary.json")
    values = read(folder, "auc")
    row = number(values, dataset="vindr_cxr", system="offclip", seed="all", score="one_minus_max", progress=1.0)
    assert summary["vindr_cxr"]["offclip"]["normal_auc_one_minus_max"] == pytest.approx(float(row.estimate), abs=1e-6)
    assert {"normal_auc", "abnormal_auc", "pointing", "false_negative_rate", "ece"} <= set(summary["padchest"]["clip"])


def test_measuring_again_gives_the_same_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    before = {path.name: path.read_bytes() for path in layout.RESULTS.iterdir()}
    shutil.rmtree(layout.RESULTS)
    measure.run()
    assert {path.name: path.read_bytes() for path in layout.RESULTS.iterdir()} == before


def test_one_seed_without_ablation_has_intervals_over_patients(quick: Path) -> None:
    values = read(quick, "auc")
    for system in ("clip", "carzero", "offclip"):
        names = {"dataset": "vindr_cxr", "system": system, "quantity": "normal_auc", "score": "prompt", "progress": 1.0}
        one, mean = (number(values, seed=seed, **names) for seed in (0, "all"))
        assert one[["estimate", "low", "high"]].equals(mean[["estimate", "low", "high"]])
        assert (int(mean.seeds), mean.seed_sd) == (1, "")
    assert set(read(quick, "effects").kind) == {"effect"}  # CLIP and CARZero differ in the model alone
    overall = read(quick, "differences")
    overall = overall[(overall.dataset == "overall") & (overall.a == "offclip") & (overall.b == "carzero")]
    assert len(overall) == len(measure.COMPARED)
    assert (overall.low.astype(float) < overall.high.astype(float)).all()
    ablation = read(quick, "claims")
    ablation = ablation[(ablation.a == "offclip") & (ablation.b == "carzero_filter")]
    assert set(ablation.verdict) == {"not testable here"}


def test_a_claim_about_some_findings_is_measured_on_them(quick: Path) -> None:
    values = read(quick, "auc")
    names = {"dataset": "chexpert", "system": "carzero", "seed": "all", "progress": 1.0}
    macro = number(values, quantity="abnormal_auc_two", **names)
    each = [number(values, finding=finding, **names).estimate for finding in ("Cardiomegaly", "Edema")]
    assert float(macro.estimate) == pytest.approx(np.mean([float(value) for value in each]))
    assert int(macro.positives) == 2
    found = read(quick, "claims")
    assert float(number(found, claim="two").estimate) == pytest.approx(float(macro.estimate))
    missing = number(found, claim="carzero_chexpert")  # the synthetic cohort lacks some of the five
    assert missing.verdict == "not testable here"
    assert "finding" in missing.note


@pytest.mark.parametrize("quantity", ["false_positive_rate", "false_negative_rate"])
def test_errors_at_validation_thresholds_are_compared_on_each_dataset_and_overall(folder: Path, quantity: str) -> None:
    differences = read(folder, "differences")
    rates = read(folder, "operating")
    names = {"quantity": quantity, "score": "prompt"}
    each = []
    for dataset in layout.EVALUATION_DATASETS:
        a, b = (
            number(rates, dataset=dataset, system=system, seed="all", rule="youden", **names).estimate
            for system in ("offclip", "carzero")
        )
        row = number(differences, dataset=dataset, a="offclip", b="carzero", rule="youden", **names)
        each.append(float(a) - float(b))
        assert float(row.estimate) == pytest.approx(each[-1])
    whole = number(differences, dataset="overall", a="offclip", b="carzero", rule="youden", **names)
    assert float(whole.estimate) == pytest.approx(np.mean(each))
    assert float(whole.low) < float(whole.estimate) < float(whole.high)


def test_every_rule_of_a_threshold_is_compared_and_named(folder: Path) -> None:
    differences = read(folder, "differences")
    errors = differences[differences["quantity"].isin(operating.ERRORS)]
    assert set(errors["rule"]) == set(THRESHOLD_RULES)
    assert set(differences[~differences["quantity"].isin(operating.ERRORS)]["rule"]) == {""}
    names = {"dataset": "padchest", "quantity": "false_negative_rate", "score": "prompt", "rule": "specificity_95"}
    row = number(differences, a="offclip", b="carzero", **names)
    a, b = (
        number(read(folder, "operating"), system=system, seed="all", **names).estimate
        for system in ("offclip", "carzero")
    )
    assert float(row.estimate) == pytest.approx(float(a) - float(b))


@pytest.mark.parametrize("seed", [0, "all"])
@pytest.mark.parametrize(
    ("quantity", "rule"), [("false_positive_rate", "youden"), ("average_precision", ""), ("ece", "")]
)
def test_overall_is_the_mean_of_the_datasets_with_their_own_patients(
    folder: Path, quantity: str, rule: str, seed: object
) -> None:
    table = read(folder, "operating")
    names = {"system": "offclip", "score": "prompt", "quantity": quantity, "rule": rule, "seed": seed}
    each = [number(table, dataset=dataset, **names) for dataset in layout.EVALUATION_DATASETS]
    whole = number(table, dataset="overall", **names)
    assert float(whole.estimate) == pytest.approx(np.mean([float(row.estimate) for row in each]))
    assert int(whole.n) == sum(int(row.n) for row in each)
    # Patients leave less doubt about the mean of four samples than about its parts; a training seed moves all.
    if seed == "all":
        assert NOT_ESTIMABLE in whole.note or float(whole.low) < float(whole.estimate) < float(whole.high)
    else:
        narrowest = min(float(row.high) - float(row.low) for row in each)
        assert 0 < float(whole.high) - float(whole.low) < narrowest or quantity == "ece"
    assert whole.cohort_hash not in {row.cohort_hash for row in each}


def test_the_spread_of_an_overall_difference_is_that_of_its_seeds(folder: Path) -> None:
    values = read(folder, "auc")
    names = {"score": "prompt", "quantity": "normal_auc", "finding": "", "progress": 1.0}
    each = [
        np.mean(
            [
                float(number(values, system="offclip", seed=seed, dataset=dataset, **names).estimate)
                - float(number(values, system="carzero", seed=seed, dataset=dataset, **names).estimate)
                for dataset in layout.EVALUATION_DATASETS
            ]
        )
        for seed in (0, 1)
    ]
    names = {"dataset": "overall", "quantity": "normal_auc", "score": "prompt"}
    row = number(read(folder, "differences"), a="offclip", b="carzero", **names)
    assert float(row.seed_sd) == pytest.approx(np.std(each, ddof=1))

"""Nothing that evaluates is seen by what trains or fits: files are spoilt or labels shuffled, and nothing moves."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmark.common import files
from benchmark.pipeline import layout
from benchmark.statistics import measure
from benchmark.training import pretrain, train
from tests.benchmark import synthetic_run
from tests.benchmark.measured_run import working_in
from tests.benchmark.training import workplace
from tests.reliability import leaks

COHORT_FILES = ("index.parquet", "regions.parquet", "images.npy", "card.json")


def trained(root: Path) -> dict[str, str]:
    """Pretrain and train there; the hash of every file of weights."""
    with working_in(root):
        pretrain.run(0)
        train.run("offclip", 0)
        made = [*layout.PRETRAINED.rglob("*.safetensors"), *layout.run("offclip", 0).glob("*.safetensors")]
        return {str(path): files.sha256_file(path) for path in sorted(made)}


def test_training_opens_no_evaluation_file(tmp_path: Path) -> None:
    values = workplace.params(pretraining={"samples": 64, "min_count": 2})
    values["encoders"]["image"]["init"] = str(layout.PRETRAINED)
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    workplace.write(alone, values)
    index = alone / layout.cohort(layout.TRAINING_DATASET) / "index.parquet"
    table = pd.read_parquet(index)
    reports = np.where(np.arange(len(table)) % 2, "the lungs are clear", "opacity in the right lobe")
    files.write_parquet(index, table.assign(report=reports))
    shutil.copytree(alone, beside)
    for dataset in layout.EVALUATION_DATASETS:  # whoever read these would stumble
        for name in COHORT_FILES:
            files.write_text(beside / layout.cohort(dataset) / name, "not a cohort")
    weights = trained(alone)
    assert len(weights) == 4
    assert trained(beside) == weights


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("measured")
    synthetic_run.write(root, images=120, replicates=20, seeds=(0,), ablation=())
    with working_in(root):
        measure.run()
    return root


def remeasured(measured: Path, root: Path, datasets: tuple[str, ...]) -> pd.DataFrame:
    """operating.csv after the truth of the given datasets was dealt to other images."""
    shutil.copytree(measured, root)
    for dataset in datasets:
        path = root / layout.cohort(dataset) / "index.parquet"
        index = pd.read_parquet(path)
        truth = [name for name in index if name == "normal" or str(name).startswith("label:")]
        dealt = np.random.default_rng(1).permutation(len(index))
        files.write_parquet(path, index.assign(**{name: index[name].array[dealt] for name in truth}))
    with working_in(root):
        measure.run()
    return pd.read_csv(root / layout.RESULTS / "operating.csv")


KEY = ["dataset", "system", "seed", "score", "rule", "quantity"]


def test_thresholds_ignore_the_labels_they_are_judged_on(measured: Path, tmp_path: Path) -> None:
    before = pd.read_csv(measured / layout.RESULTS / "operating.csv")
    after = remeasured(measured, tmp_path / "evaluation", layout.EVALUATION_DATASETS)
    fitted = before["threshold"].notna()
    assert fitted.sum() > 20
    pd.testing.assert_series_equal(before["threshold"], after["threshold"])
    pd.testing.assert_frame_equal(before[KEY], after[KEY])
    assert (before["estimate"] != after["estimate"]).mean() > 0.5  # the labels did change


def test_thresholds_follow_the_validation_split(measured: Path, tmp_path: Path) -> None:
    before = pd.read_csv(measured / layout.RESULTS / "operating.csv")
    after = remeasured(measured, tmp_path / "validation", (layout.TRAINING_DATASET,))
    fitted = before["threshold"].notna()
    assert (before["threshold"] != after["threshold"])[fitted].mean() > 0.5


def test_scoring_looks_at_no_evaluation_label(tmp_path: Path) -> None:
    from benchmark.evaluation import score
    from tests.benchmark.evaluation import workspace

    hashes = []
    for name in ("true", "dealt"):
        root = tmp_path / name
        root.mkdir()
        workspace.write(root, count=16)
        for dataset in layout.EVALUATION_DATASETS if name == "dealt" else ():
            path = root / layout.cohort(dataset) / "index.parquet"
            index = pd.read_parquet(path)
            truth = [column for column in index if column == "normal" or str(column).startswith("label:")]
            files.write_parquet(path, index.assign(**{column: 1 - index[column] for column in truth}))
        with working_in(root):
            score.run("clip", 0)
            hashes.append({d: files.sha256_file(layout.scores("clip", 0) / f"{d}.parquet") for d in layout.DATASETS})
    assert hashes[0] == hashes[1]


@pytest.fixture
def rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a phantom cohort leaves for the search: twelve images a dataset, no two of them alike."""
    generator = np.random.default_rng(4)
    for dataset in layout.DATASETS:
        names = [f"{dataset}-{n}" for n in range(12)]
        trains = dataset == layout.TRAINING_DATASET
        index = pd.DataFrame({"image_id": names, "patient_id": [f"patient of {name}" for name in names]})
        index["split"] = ["train"] * 9 + ["validate"] * 3 if trains else "test"
        files.write_parquet(tmp_path / layout.cohort(dataset) / "index.parquet", index)
        drawn = pd.DataFrame({"image_id": names, "source": [f"report {name}" for name in names]})
        files.write_parquet(tmp_path / layout.raw(dataset) / "provenance.parquet", drawn)
        images = generator.integers(0, 256, (12, 48, 48), dtype=np.uint8)
        np.save(tmp_path / layout.cohort(dataset) / "images.npy", images)
    texts = {f"{dataset}-{n}": f"findings of {dataset} {n}" for dataset in layout.DATASETS for n in range(12)}
    monkeypatch.setattr(leaks, "_texts", lambda folder: texts)
    return tmp_path


def test_the_search_finds_a_patient_a_text_and_an_image_that_leak(rendered: Path) -> None:
    assert leaks.found_in(rendered) == []
    trained, judged = layout.cohort("mimic_cxr"), layout.cohort("padchest")
    index = pd.read_parquet(rendered / judged / "index.parquet")
    index.loc[0, "patient_id"] = "patient of mimic_cxr-4"
    files.write_parquet(rendered / judged / "index.parquet", index)
    drawn = pd.read_parquet(rendered / layout.raw("open_i") / "provenance.parquet")
    drawn.loc[1, "source"] = "report mimic_cxr-5"
    files.write_parquet(rendered / layout.raw("open_i") / "provenance.parquet", drawn)
    images = np.load(rendered / layout.cohort("mimic_cxr") / "images.npy")
    images[11] = np.round(255 * (images[2] / 255) ** 0.9)  # validates, and is a training image a little brighter
    np.save(rendered / trained / "images.npy", images)
    found = leaks.found_in(rendered)
    assert [leak.partition(" (")[0] for leak in found] == [
        "mimic_cxr, validate: 1 images",
        "open_i, test: 1 report texts",
        "padchest, test: 1 patients",
    ]


@pytest.mark.chaos
def test_nothing_that_trains_is_evaluated_in_the_whole_cohort(capsys: pytest.CaptureFixture[str]) -> None:
    """The repository's own data/, every image with every other; `test_pipeline.py` does it at smoke size."""
    cards = [workplace.REPOSITORY / layout.cohort(dataset) / "card.json" for dataset in layout.DATASETS]
    if not all(card.exists() and files.read_json(card)["phantom"] for card in cards):
        pytest.skip("data/cohort holds no whole phantom cohort; run `dvc repro` first")
    assert leaks.found_in(workplace.REPOSITORY) == []
    with capsys.disabled():
        counts = [files.read_json(card)["counts"]["images"] for card in cards]
        print(f"\nimages compared for leaks: {sum(counts):,}")


def test_no_compared_system_is_chosen_by_its_results() -> None:
    """Every setting of training is the same for all systems: there is nothing to select on."""
    shipped = yaml.safe_load((workplace.REPOSITORY / layout.PARAMS).read_text(encoding="utf-8"))
    allowed = {"label", "model", "objective", "objective_options", "captions", "model_options", "checkpoint", "start"}
    assert all(set(system) <= allowed for system in shipped["systems"].values())

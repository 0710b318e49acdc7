"""The supervised reference: a column for every finding, each from the head that its vocabulary allows."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from benchmark.artifacts import cohort
from benchmark.common import files
from benchmark.evaluation import probe
from benchmark.pipeline import layout, settings
from tests.benchmark.evaluation.workspace import FINDINGS

TRAINED = FINDINGS["mimic_cxr"]


def test_findings_come_from_the_trained_label_else_from_the_cross_fitted_head(here: Path) -> None:
    vindr = cohort.read("vindr_cxr", "test")
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(40, 4)).astype(np.float32)
    features = generator.normal(size=(40, 6)).astype(np.float32)
    table, source, heads = probe.ceiling(vindr, logits, features, TRAINED, minimum=5, seed=0)
    assert list(table["image_id"]) == vindr.image_ids
    assert source == {
        "Cardiomegaly": "transfer:Cardiomegaly",
        "Pleural effusion": "transfer:Pleural Effusion",
        "Nodule/Mass": "crossfit",
        "normal": "transfer:normal",
    }
    np.testing.assert_array_equal(table["finding:Pleural effusion"], logits[:, TRAINED.index("Pleural Effusion")])
    np.testing.assert_array_equal(table["normal"], logits[:, 3])
    np.testing.assert_array_equal(table["finding:Nodule/Mass"], table["crossfit:Nodule/Mass"])
    assert "transfer:Nodule/Mass" not in table
    assert not np.array_equal(table["crossfit:normal"], table["transfer:normal"])
    assert set(heads) == set(source)  # enough positives of everything here


def test_a_finding_that_no_head_can_answer_is_scored_zero(here: Path) -> None:
    padchest = cohort.read("padchest", "test")
    zeros = np.zeros((40, 4), np.float32)
    table, source, _ = probe.ceiling(padchest, zeros, zeros, TRAINED, minimum=1000, seed=0)
    assert source["scoliosis"] == "none"
    assert (table["finding:scoliosis"] == 0).all()
    assert [name for name in table if name.startswith("crossfit:")] == []


def test_the_stage_writes_every_evaluation_set_the_same_each_time(here: Path) -> None:
    values = yaml.safe_load(layout.PARAMS.read_text())
    values["probe"] |= {"samples": 320}
    values["statistics"] |= {"min_positives": 4}
    layout.PARAMS.write_text(yaml.safe_dump(values))
    probe.run()
    first = {path.name: files.sha256_file(path) for path in layout.PROBE.iterdir()}
    probe.run()
    assert {path.name: files.sha256_file(path) for path in layout.PROBE.iterdir()} == first
    assert set(first) == {
        "probe.json",
        "pointing.parquet",
        *(f"{dataset}.parquet" for dataset in layout.EVALUATION_DATASETS),
    }
    for dataset in layout.EVALUATION_DATASETS:
        table = pd.read_parquet(layout.PROBE / f"{dataset}.parquet")
        assert {f"finding:{name}" for name in FINDINGS[dataset]} | {"normal", "thumbnail"} <= set(table.columns)
        assert table["thumbnail"].std() > 0
        assert np.isfinite(table.drop(columns="image_id").to_numpy()).all()
    pointed = pd.read_parquet(layout.PROBE / "pointing.parquet")
    asked = pd.concat([pd.read_parquet(layout.cohort(d) / "regions.parquet") for d in layout.EVALUATION_DATASETS])
    pairs = asked.drop_duplicates(["image_id", "finding"])[["image_id", "finding"]]
    assert set(map(tuple, pairs.to_numpy())) == set(map(tuple, pointed[["image_id", "finding"]].to_numpy()))
    assert files.read_json(layout.PROBE / "probe.json")["samples"] == settings.load().probe.samples == 320

"""Pretraining on the reports' words: which words are targets, and that every tower starts from what the stage wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from baselines import base
from benchmark.artifacts import cohort
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout, settings
from benchmark.training import pretrain, train
from tests.benchmark.training import workplace

REPORTS = [
    "The lungs are clear.",
    "Clear lungs; no EFFUSION.",
    "The heart is large.",
    "the left effusion",
    "the the the",
]


def test_targets_are_the_words_that_are_neither_rare_nor_everywhere() -> None:
    targets = pretrain.word_targets(REPORTS, min_count=2)
    # In alphabetical order: clear 2 of 5, effusion 2, lungs 2, the 4 (below nine in ten); the others occur once.
    expected = [[1, 0, 1, 1], [1, 1, 1, 0], [0, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 1]]
    assert targets.values.tolist() == expected
    assert targets.known.all()
    everywhere = pretrain.word_targets([f"the {report}" for report in REPORTS], min_count=2)
    assert everywhere.values.shape == (5, 3)


def test_reports_too_few_for_any_word_are_refused() -> None:
    with pytest.raises(UserError, match=r"in 30 of the 5 training reports; lower `pretraining.min_count`"):
        pretrain.word_targets(REPORTS, min_count=30)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workplace whose studies have reports; its tower starts from the stage's weights."""
    workplace.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    path = layout.cohort(layout.TRAINING_DATASET) / "index.parquet"
    index = pd.read_parquet(path)
    sentences = pd.read_parquet(layout.CAPTIONS / "sentences.parquet").groupby("study_id")["text"].agg(". ".join)
    files.write_parquet(path, index.assign(report=index["study_id"].map(sentences)))
    configure(str(pretrain.WEIGHTS))
    return tmp_path


def configure(init: str | None) -> None:
    """Let the image tower start from ``init``."""
    values = workplace.params(pretraining={"samples": 640, "min_count": 5})
    values["encoders"] = {**values["encoders"], "image": {**values["encoders"]["image"], "init": init}}
    layout.PARAMS.write_text(yaml.safe_dump(values))


def test_every_system_starts_from_the_same_weights_and_the_stage_repeats_itself(folder: Path) -> None:
    pretrain.run()
    first = {path.name: files.sha256_file(path) for path in layout.PRETRAINED.iterdir()}
    assert set(first) == {"image.safetensors", "pretraining.json"}
    pretrain.run()
    assert {path.name: files.sha256_file(path) for path in layout.PRETRAINED.iterdir()} == first
    stored = load_file(pretrain.WEIGHTS)
    encoders = settings.load().encoders
    torch.manual_seed(1)
    for model in ("clip", "carzero"):
        tower = base.load(model, encoders, {}, ["clear"]).image.state_dict()
        assert tower.keys() == stored.keys()
        assert all(torch.equal(tower[name], stored[name]) for name in stored)
    random = base.load("clip", {**encoders, "image": {**encoders["image"], "init": None}}, {}, ["clear"])
    changed = [name for name, tensor in random.image.state_dict().items() if not torch.equal(tensor, stored[name])]
    assert changed


def test_only_training_images_with_a_report_are_seen(folder: Path) -> None:
    path = layout.cohort(layout.TRAINING_DATASET) / "index.parquet"
    index = pd.read_parquet(path)
    train = np.flatnonzero(index["split"] == "train")
    index.loc[train[:3], "report"] = " "
    files.write_parquet(path, index)
    images, reports = pretrain.images_and_reports(cohort.read(layout.TRAINING_DATASET, "train"))
    assert len(images) == len(reports) == len(train) - 3
    np.testing.assert_array_equal(images, np.load(path.parent / "images.npy")[train[3:]])
    assert reports == index["report"].iloc[train[3:]].tolist()


@pytest.mark.parametrize("init", [None, "mine/image.safetensors"])
def test_there_is_nothing_to_do_where_the_tower_starts_elsewhere(folder: Path, init: str | None) -> None:
    configure(init)
    pretrain.run()
    assert [path.name for path in layout.PRETRAINED.iterdir()] == ["pretraining.json"]
    assert files.read_json(layout.PRETRAINED / "pretraining.json") == {"used": False}


def test_a_start_that_does_not_say_its_cost_is_refused_before_the_first_step(folder: Path) -> None:
    values = yaml.safe_load(layout.PARAMS.read_text())
    workplace.write_params(folder, values)
    pretrain.run()
    account = layout.PRETRAINED / "pretraining.json"
    written = files.read_json(account)
    assert written["flops"] > 0
    files.write_json(account, {name: value for name, value in written.items() if name != "flops"})
    with pytest.raises(UserError, match=r"pretraining\.json does not say .* cost; delete it and run `dvc repro pre"):
        train.run("clip", 0)
    assert not layout.run("clip", 0).exists()

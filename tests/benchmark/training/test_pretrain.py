"""Pretraining on the reports' words: which words are targets, and that every seed's towers start from its own file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from baselines import base
from benchmark.artifacts import cohort
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.compute import distributed
from benchmark.pipeline import layout, pretrained, settings
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
    configure(layout.PRETRAINED.as_posix())
    return tmp_path


def configure(init: str | None) -> None:
    """Let the image tower start from ``init``."""
    values = workplace.params(pretraining={"samples": 640, "min_count": 5})
    values["encoders"] = {**values["encoders"], "image": {**values["encoders"]["image"], "init": init}}
    layout.PARAMS.write_text(yaml.safe_dump(values))


def test_every_system_of_a_seed_starts_from_the_same_weights_and_the_stage_repeats_itself(folder: Path) -> None:
    pretrain.run(3)
    first = {path.name: files.sha256_file(path) for path in layout.pretrained(3).iterdir()}
    assert set(first) == {"image.safetensors", "pretraining.json"}
    pretrain.run(3)
    assert {path.name: files.sha256_file(path) for path in layout.pretrained(3).iterdir()} == first
    stored = load_file(layout.pretrained(3) / "image.safetensors")
    encoders = pretrained.of_seed(settings.load().encoders, 3)
    torch.manual_seed(1)
    for model in ("clip", "carzero"):
        tower = base.load(model, encoders, {}, ["clear"]).image.state_dict()
        assert tower.keys() == stored.keys()
        assert all(torch.equal(tower[name], stored[name]) for name in stored)
    random = base.load("clip", {**encoders, "image": {**encoders["image"], "init": None}}, {}, ["clear"])
    changed = [name for name, tensor in random.image.state_dict().items() if not torch.equal(tensor, stored[name])]
    assert changed


def test_a_run_starts_from_the_tower_of_its_own_seed_and_says_so(folder: Path) -> None:
    workplace.write_params(folder, yaml.safe_load(layout.PARAMS.read_text()))
    for seed in (0, 1):
        pretrain.run(seed)
    plan = train.Plan.read("clip")
    stored = [load_file(layout.pretrained(seed) / "image.safetensors") for seed in (0, 1)]
    assert not all(torch.equal(stored[0][name], stored[1][name]) for name in stored[0])
    for seed in (0, 1):
        tower = train.build_model(plan, seed).image.state_dict()
        assert all(torch.equal(tower[name], stored[seed][name]) for name in stored[seed])
    train.run("clip", 1)
    account = files.read_json(layout.run("clip", 1) / "ledger.json")
    flops = files.read_json(layout.pretrained(1) / "pretraining.json")["flops"]
    assert account["start"] == {"kind": "pretrained", "flops": flops}


def test_another_start_is_another_run(folder: Path) -> None:
    """What was begun from one tower is not resumed from another."""
    workplace.write_params(folder, yaml.safe_load(layout.PARAMS.read_text()))
    pretrain.run(0)
    plan, training = train.Plan.read("clip"), settings.load().training
    runs = []
    for _ in range(2):
        runs.append(train.build_run(plan, training, 0, torch.device("cpu"), distributed.ALONE).folder.identity)
        weights = layout.pretrained(0) / "image.safetensors"
        save_file({name: tensor + 1 for name, tensor in load_file(weights).items()}, weights)
    assert runs[0] != runs[1]


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
    pretrain.run(0)
    assert [path.name for path in layout.pretrained(0).iterdir()] == ["pretraining.json"]
    assert files.read_json(layout.pretrained(0) / "pretraining.json") == {"used": False}


def test_a_start_that_does_not_say_its_cost_is_refused_before_the_first_step(folder: Path) -> None:
    values = yaml.safe_load(layout.PARAMS.read_text())
    workplace.write_params(folder, values)
    pretrain.run(0)
    account = layout.pretrained(0) / "pretraining.json"
    written = files.read_json(account)
    assert written["flops"] > 0
    files.write_json(account, {name: value for name, value in written.items() if name != "flops"})
    with pytest.raises(UserError, match=r"json does not say .* cost; delete it and run `dvc repro pretrain@0`"):
        train.run("clip", 0)
    assert not layout.run("clip", 0).exists()

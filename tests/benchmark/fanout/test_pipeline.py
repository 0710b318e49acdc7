"""Which items there are and in which order, read from the shipped dvc.yaml by DVC itself."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from benchmark.common.errors import UserError
from benchmark.fanout.pipeline import Pipeline
from benchmark.pipeline import layout
from tests.benchmark.fanout import repository
from tests.repository import REPOSITORY


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """The shipped pipeline with one more group of trainings, which no code names."""
    root, before = tmp_path_factory.mktemp("shipped"), Path.cwd()
    shutil.copy(REPOSITORY / "params.yaml", root)
    stages = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())
    extra = {**stages["stages"]["train_scratch"], "matrix": {"system": ["clip"], "seed": [77]}}
    stages["stages"]["train_more"] = extra
    (root / "dvc.yaml").write_text(yaml.safe_dump(stages, sort_keys=False))
    repository.dvc(root, "init", "--no-scm", "--quiet")
    os.chdir(root)
    yield Pipeline()
    os.chdir(before)


def test_the_groups_follow_from_the_commands(pipeline: Pipeline) -> None:
    groups = pipeline.groups()
    assert {"decode", "pretrain", "train", "train_ablation", "train_more", "score", "score_ablation"} <= set(groups)
    assert not {"prepare", "captions", "probe", "measure", "plan"} & set(groups)
    assert groups["train_more"] == ["train_more@clip-77"]


def test_an_item_runs_the_very_command_that_dvc_would(pipeline: Pipeline) -> None:
    (item,) = pipeline.choose(["train@clip-0"])[:1]
    assert item.line == "python -m benchmark train --system clip --seed 0"
    assert item.arguments == ("-m", "benchmark", "train", "--system", "clip", "--seed", "0")


def test_scoring_waits_for_its_own_training_and_that_for_the_start_of_its_seed(pipeline: Pipeline) -> None:
    items = {item.name: item for item in pipeline.choose([])}
    assert items["score@clip-0"].needs == {"train@clip-0"}
    assert items["train@clip-0"].needs == {"pretrain@0"}
    assert items["train_scratch@clip_scratch-0"].needs == frozenset()


def test_what_a_chosen_item_needs_is_chosen_as_well(pipeline: Pipeline) -> None:
    names = {item.name for item in pipeline.choose(["score@clip-1"])}
    decoded = {f"decode@{dataset}" for dataset in layout.DATASETS}
    assert names == {"score@clip-1", "train@clip-1", "pretrain@1"} | decoded


def test_decoding_is_a_wave_before_training_because_dvc_prepares_in_between(pipeline: Pipeline) -> None:
    waves = pipeline.levels(pipeline.choose([]))
    commands = [{item.command for item in wave} for wave in waves]
    assert commands == [{"decode"}, {"pretrain", "train", "score"}]
    assert all(stage.startswith(("plan", "raw@", "index@")) for stage in pipeline.between(waves[0]))
    between = pipeline.between(waves[1])
    assert {"captions", "prepare@mimic_cxr", "prepare@open_i"} <= set(between)
    assert not any(stage.startswith(("train", "pretrain", "score", "decode")) for stage in between)


def test_what_cannot_be_decoded_keeps_back_what_needs_it_and_nothing_else(pipeline: Pipeline) -> None:
    items = {item.name: item for item in pipeline.choose([])}
    failed = ["decode@open_i"]
    assert pipeline.blocked(items["score@clip-0"], failed) == {"decode@open_i"}
    assert pipeline.blocked(items["train@clip-0"], failed) == set()
    assert "prepare@open_i" not in pipeline.between(pipeline.levels(items.values())[1], failed)


@pytest.mark.parametrize(("word", "hint"), [("tarin", "did you mean 'train'"), ("train@clip-9", "did you mean")])
def test_a_misspelt_stage_names_the_nearest(pipeline: Pipeline, word: str, hint: str) -> None:
    with pytest.raises(UserError, match=hint):
        pipeline.choose([word])


def test_a_stage_whose_items_do_not_run_side_by_side_is_refused(pipeline: Pipeline) -> None:
    with pytest.raises(UserError, match="'measure' is no stage whose items run side by side; there are decode, "):
        pipeline.choose(["measure"])


def test_without_dvc_a_sentence_says_where_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="DVC cannot read the pipeline here"):
        Pipeline()


def test_one_fanout_at_a_time(pipeline: Pipeline) -> None:
    other = Pipeline()
    refused = pytest.raises(UserError, match="Another `fanout` is at work in this folder")
    with pipeline.alone(), refused, other.alone():
        pass
    with other.alone():
        pass

"""DVC takes over what an item made, as after `dvc repro`; what it has in its cache is put back, not made again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from benchmark.common.errors import UserError
from benchmark.fanout.item import Item
from benchmark.fanout.pipeline import Pipeline
from tests.benchmark.fanout import repository

OUTPUT = Path("runs/clip-0")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One training, its inputs, nothing made."""
    root = tmp_path_factory.mktemp("empty") / "work"
    (root / "data").mkdir(parents=True)
    (root / "data/pairs").write_text("1")
    stage = {
        "matrix": {"system": ["clip"], "seed": [0]},
        "cmd": "python -m benchmark train --system ${item.system} --seed ${item.seed}",
        "deps": ["data"],
        "outs": ["runs/${item.system}-${item.seed}"],
    }
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}, sort_keys=False))
    repository.dvc(root, "init", "--no-scm", "--quiet")
    return root


@pytest.fixture
def pipeline(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    monkeypatch.chdir(shutil.copytree(empty, tmp_path / "work"))
    return Pipeline()


@pytest.fixture
def item(pipeline: Pipeline) -> Item:
    (only,) = pipeline.choose(["train"])
    return only


def make(content: str) -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "model").write_text(content)


def test_what_was_handed_over_is_up_to_date_until_an_input_changes(pipeline: Pipeline, item: Item) -> None:
    assert not pipeline.is_current(item)
    inputs = pipeline.inputs(item)
    make("weights")
    pipeline.hand_over(item, inputs)
    assert pipeline.is_current(item)
    assert "up to date" in repository.dvc(Path.cwd(), "status")
    Path("data/pairs").write_text("2")
    assert not pipeline.is_current(item)


def test_what_lies_in_the_cache_is_put_back(pipeline: Pipeline, item: Item) -> None:
    inputs = pipeline.inputs(item)
    make("weights")
    pipeline.hand_over(item, inputs)
    shutil.rmtree(OUTPUT)
    assert pipeline.is_current(item)
    assert (OUTPUT / "model").read_text() == "weights"


def test_so_is_what_was_made_from_earlier_inputs(pipeline: Pipeline, item: Item) -> None:
    for content in ("1", "2"):
        Path("data/pairs").write_text(content)
        inputs = pipeline.inputs(item)
        shutil.rmtree(OUTPUT, ignore_errors=True)
        make(f"weights of {content}")
        pipeline.hand_over(item, inputs)
    Path("data/pairs").write_text("1")
    assert pipeline.is_current(item)
    assert (OUTPUT / "model").read_text() == "weights of 1"


def test_an_input_that_changed_meanwhile_is_named_and_nothing_is_taken_over(pipeline: Pipeline, item: Item) -> None:
    inputs = pipeline.inputs(item)
    make("weights")
    Path("data/pairs").write_text("2")
    with pytest.raises(UserError, match=r"^data changed while it ran, so it was not handed to DVC"):
        pipeline.hand_over(item, inputs)
    assert not pipeline.is_current(item)


def test_an_item_that_left_nothing_is_no_output(pipeline: Pipeline, item: Item) -> None:
    with pytest.raises(UserError, match="DVC could not take its outputs over"):
        pipeline.hand_over(item, pipeline.inputs(item))


def test_while_items_run_no_other_dvc_writes_what_they_need(pipeline: Pipeline, item: Item) -> None:
    with pipeline.holding([item]):
        held = Path(".dvc/tmp/rwlock").read_text()
    assert "runs/clip-0" in held
    assert "data" in held
    assert "runs/clip-0" not in Path(".dvc/tmp/rwlock").read_text()

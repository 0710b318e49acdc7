"""A system with a checkpoint is evaluated, not trained: its weights are the run, and it spends nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from baselines import base, torchvision_cure
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout
from benchmark.training import train
from tests import parity
from tests.baselines import files as released_files
from tests.benchmark.training import workplace

torchvision_cure.apply()
import open_clip  # noqa: E402

CONFIG: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    """A hub snapshot of a small open_clip model."""
    path = tmp_path / "snapshot"
    path.mkdir()
    (path / "open_clip_config.json").write_text(json.dumps({"model_cfg": CONFIG, "preprocess_cfg": {}}))
    torch.manual_seed(3)
    torch.save(open_clip.CLIP(**CONFIG).state_dict(), path / "open_clip_pytorch_model.bin")
    return path


def _systems(checkpoint: Path) -> dict[str, Any]:
    released = {"label": "Released", "model": "open_clip", "checkpoint": str(checkpoint)}
    return workplace.params(systems={"released": released}) | {"compare": ["released"], "ablation": []}


def test_a_released_model_goes_through_train_as_it_is(
    snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.write(tmp_path, _systems(snapshot))
    monkeypatch.chdir(tmp_path)
    train.run("released", 0)
    run = layout.run("released", 0)
    assert {path.name for path in run.iterdir()} == {"model.safetensors", "history.parquet", "ledger.json"}
    assert set(files.read_json(run / "ledger.json")["spent"].values()) == {0.0}
    assert pd.read_parquet(run / "history.parquet").empty
    theirs = open_clip.create_model(f"local-dir:{snapshot}").eval()
    pixels, text = torch.rand(2, 1, 32, 32), ["There is no finding"]
    model = base.restore(run / "model.safetensors")
    with torch.no_grad():
        scores = model.similarity(model.encode_images(pixels), model.encode_texts(model.tokenize(text)))
        normalised = (pixels.expand(-1, 3, -1, -1) - model.mean) / model.std
        image = theirs.encode_image(normalised, normalize=True)
        expected = image @ theirs.encode_text(model.tokenize(text).ids, normalize=True).T * theirs.logit_scale.exp()
    torch.testing.assert_close(scores, expected)


def test_a_checkpoint_that_is_not_there_is_refused_by_the_plan(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`systems\.released\.checkpoint`: .*absent does not exist"):
        workplace.write(tmp_path, _systems(tmp_path / "absent"))


@parity.needs_released("medclip")
def test_a_cache_that_is_too_small_is_refused_before_anything_is_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = parity.hollow("medclip_resnet", parity.RELEASED / "medclip")
    torch.save(weights, tmp_path / "pytorch_model.bin")
    pieces = parity.arrays("arrays.npz", parity.RELEASED / "medclip")["vocab"].tolist()
    options = {"tokenizer": released_files.vocabulary(pieces, tmp_path)}
    system = {"label": "MedCLIP", "model": "medclip", "model_options": options}
    values = _systems(tmp_path / "pytorch_model.bin")
    values["systems"]["released"] = system | {"checkpoint": str(tmp_path / "pytorch_model.bin")}
    workplace.write(tmp_path, values)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UserError, match=r"^System 'released': MedCLIP reads images of 224 pixels, the cache holds \d+; set"
    ):
        train.run("released", 0)
    assert not layout.run("released", 0).exists()
    values["systems"]["released"]["checkpoint"] = None
    with pytest.raises(UserError, match=r"^`systems\.released`: the model 'medclip' is a released one"):
        workplace.write(tmp_path / "again", values)

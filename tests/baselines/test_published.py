"""Released checkpoints: files of exactly their structure are loaded key by key, others refused with a list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor

from baselines import published
from baselines.base import Baseline, load, restore, save
from baselines.unfilled import Unfilled
from tests import parity

ENCODERS: dict[str, dict[str, Any]] = {"image": {"kind": "conv"}, "text": {"kind": "words"}}
pytestmark = parity.needs_parity


@pytest.fixture(scope="module")
def released(released_weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The 434 tensors under their released names."""
    assert len(released_weights) == 434
    return released_weights


@pytest.fixture
def tokenizer(tmp_path: Path) -> str:
    """A folder with the vocabulary of the arrays."""
    path = tmp_path / "BioClinicalMPBERT"
    path.mkdir()
    (path / "vocab.txt").write_text("\n".join(parity.arrays("text_agg.npz")["vocab"].tolist()) + "\n")
    return str(path)


def _lightning(weights: dict[str, Tensor]) -> dict[str, Any]:
    """What Lightning 1.1 writes: names prefixed with the attribute, the configuration as OmegaConf."""
    return {
        "epoch": 14,
        "global_step": 51234,
        "pytorch-lightning_version": "1.1.4",
        "state_dict": {f"CARZero.{name}": tensor for name, tensor in weights.items()},
        "callbacks": {},
        "optimizer_states": [{"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 5e-5}]}],
        "lr_schedulers": [],
        "hparams_name": "hparams",
        "hyper_parameters": OmegaConf.create({"model": {"text": {"word_num": 97}}, "train": {"batch_size": 64}}),
    }


def _offclip(weights: dict[str, Tensor], prefix: str = "") -> dict[str, Any]:
    return {"epoch": 9, "model_state_dict": {prefix + name: tensor for name, tensor in weights.items()}}


def _load(content: dict[str, Any], tokenizer: str, tmp_path: Path) -> Baseline:
    path = tmp_path / "model.ckpt"
    torch.save(content, path)
    try:
        with Unfilled():
            return load("published", ENCODERS, {"checkpoint": str(path), "tokenizer": tokenizer}, None).eval()
    finally:
        path.unlink()


def _without_values(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same names and shapes over one stored zero each, so that a file takes kilobytes."""
    return {name: torch.zeros(()).expand(tensor.shape) for name, tensor in weights.items()}


def test_carzeros_lightning_file_gives_the_released_scores(released: dict, tokenizer: str, tmp_path: Path) -> None:
    model = _load(_lightning(released), tokenizer, tmp_path)
    expected = parity.arrays("similarity_full.npz")
    with torch.no_grad():
        images = model.encode_images(parity.normalised(expected["gray_u8"]))
        prompts = model.encode_texts(model.text.batch(expected["prompt_ids"], expected["prompt_mask"]))
        torch.testing.assert_close(model.similarity(images, prompts), expected["zero_shot_scores"], **parity.FULL)
    assert model.tokenize(["there is no finding"]).ids.shape == (1, 97)
    save(model, tmp_path / "model.safetensors")
    del model
    # The released file is gone by now: what was saved needs it no more.
    again = restore(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    with torch.no_grad():
        scores = again.similarity(images, prompts)
    torch.testing.assert_close(scores, expected["zero_shot_scores"], **parity.FULL)


def test_every_wrapper_of_the_names_is_seen_through(released: dict) -> None:
    own = published.to_own_names(released, "x")
    for prefix in ("CARZero.", "module.", "module.CARZero."):
        wrapped = {prefix + name: tensor for name, tensor in released.items()}
        assert set(published.to_own_names(wrapped, "x")) == set(own)
    assert len(own) == 434 - len([name for name in released if published.UNUSED.match(name)])


def test_offclips_file_with_a_missing_and_a_surplus_tensor_is_refused_with_both(
    released: dict, tokenizer: str, tmp_path: Path
) -> None:
    weights = _without_values(released)
    del weights["img_encoder.model.cls_token"]
    weights["img_encoder.model.head.weight"] = torch.zeros(2)
    with pytest.raises(ValueError, match=r"missing image\.model\.cls_token; unexpected image\.model\.head\.weight\."):
        _load(_offclip(weights, "module."), tokenizer, tmp_path)


def test_a_tensor_outside_the_wrapper_is_refused(released: dict) -> None:
    wrapped = {f"CARZero.{name}": tensor for name, tensor in released.items()} | {"gloria.x": torch.zeros(1)}
    assert "gloria.x" in published.to_own_names(wrapped, "x")


def test_an_alias_with_other_values_and_a_foreign_file_are_refused(released: dict) -> None:
    other = dict(released) | {"fusion_module.decoder.norm.bias": torch.zeros(768)}
    with pytest.raises(ValueError, match=r"decoder\.norm\.bias and decoder_norm\.bias differ"):
        published.to_own_names(other, "x.ckpt")
    with pytest.raises(ValueError, match=r"x\.ckpt is not a CARZero or OFF-CLIP checkpoint.*first: visual\.proj"):
        published.to_own_names({"visual.proj": torch.zeros(1)}, "x.ckpt")


def test_a_tokenizer_that_is_absent_or_too_large_is_refused(released: dict, tokenizer: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no vocab\.txt at .*absent"):
        _load(_offclip(_without_values(released)), str(tmp_path / "absent"), tmp_path)
    file = Path(tokenizer) / "vocab.txt"
    file.write_text(file.read_text() + "surplus\n")
    with pytest.raises(ValueError, match=r"has 31 pieces, .* only 30"):
        _load(_offclip(_without_values(released)), tokenizer, tmp_path)


def test_the_names_are_those_of_the_list_that_came_with_the_arrays() -> None:
    names = set(json.loads((parity.FOLDER / "state_dict_keys.json").read_text())["full_model"])
    kept = {name for name in names if not published.UNUSED.match(name)}
    assert all(name.startswith(tuple(published.OWN_PREFIX)) for name in kept)

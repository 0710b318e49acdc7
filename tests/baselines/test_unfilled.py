"""Unfilled models: nothing is drawn, and what a file gives them is all that they are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from baselines.base import load, restore, save
from baselines.config import BertOptions
from baselines.towers.bert import SPECIAL, BertTower
from baselines.towers.resnet import resnet50
from baselines.unfilled import Unfilled
from tests.baselines.conftest import ENCODERS, VOCABULARY


def _bert() -> nn.Module:
    small = BertOptions(dim=8, layers=1, last_layers=2, heads=2, ffn=8, positions=16, max_tokens=16)
    return BertTower(small, [*SPECIAL, "clear", "lungs"])


@pytest.mark.parametrize("build", [lambda: nn.Linear(3, 3), lambda: nn.Embedding(9, 3, 0), resnet50, _bert])
def test_building_draws_nothing_and_sets_what_is_constant(build) -> None:
    before = torch.get_rng_state()
    with Unfilled():
        built = build().state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    filled = build().state_dict()
    assert not torch.equal(torch.get_rng_state(), before)
    assert {name: tensor.shape for name, tensor in built.items()} == {n: t.shape for n, t in filled.items()}
    again = build().state_dict()
    for name in (name for name in filled if torch.equal(again[name], filled[name])):
        assert torch.equal(built[name], filled[name]), name


@pytest.mark.parametrize("stood", [float("nan"), 1e30, -5.0, 0.0])
def test_a_truncated_normal_ends_whatever_stood_in_memory(stood: float) -> None:
    tensor = torch.full((4, 4), stood)
    with Unfilled():
        nn.init.trunc_normal_(tensor, std=0.02)
        nn.init.trunc_normal_(other := torch.full((4, 4), stood), mean=1.0, std=0.1, a=0.5, b=1.5)
    assert bool((tensor == 0).all())
    assert bool((other == 1).all())


def test_a_model_is_restored_to_the_bit(tmp_path) -> None:
    torch.manual_seed(0)
    model = load("carzero", ENCODERS, {"layers": 1}, VOCABULARY).eval()
    save(model, tmp_path / "model.safetensors")
    before = torch.get_rng_state()
    restored = restore(tmp_path / "model.safetensors").state_dict()
    assert all(torch.equal(tensor, restored[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), before)

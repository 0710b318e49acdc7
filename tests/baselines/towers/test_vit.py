"""The vision transformer against the released one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from baselines.base import load_exactly
from baselines.config import VitOptions
from baselines.towers.vit import VitTower
from baselines.unfilled import Unfilled
from tests import parity

TINY = VitOptions(size=32, patch=8, dim=24, depth=2, heads=3)


@parity.needs_parity
def test_the_tiny_tower_is_the_released_one() -> None:
    expected, tower = parity.arrays("vit_tiny.npz"), VitTower(TINY).eval()
    load_exactly(tower.model, {k[6:]: v for k, v in expected.items() if k.startswith("param:")}, "vit_tiny")
    # The stored image is already normalised and has three different channels, so the model inside is called.
    with torch.no_grad():
        tokens = tower.model.forward_features(expected["image"])
    torch.testing.assert_close(tokens[:, 0], expected["global_emb"], **parity.TINY)
    torch.testing.assert_close(tokens[:, 1:], expected["local_tokens"], **parity.TINY)


@parity.needs_parity
def test_the_full_tower_is_the_released_one() -> None:
    expected = parity.arrays("vit_full.npz")
    with Unfilled():
        tower = VitTower(VitOptions()).eval()
    load_exactly(tower.model, parity.filled("vit_full"), "vit_full")
    pixels = parity.normalised(expected["gray_u8"])
    with torch.no_grad():
        features = tower(pixels)
        patches = tower.model.patch_embed(((pixels - 0.4978) / 0.2449).expand(-1, 3, -1, -1))
    local = features.grid.permute(0, 3, 1, 2)  # (B, D, 14, 14)
    torch.testing.assert_close(features.pooled, expected["global_emb"], **parity.FULL)
    torch.testing.assert_close(local[:, :, ::2, ::2], expected["local_emb"], **parity.FULL)
    torch.testing.assert_close(local[0, :96], expected["local_sample0"], **parity.FULL)
    torch.testing.assert_close(local.mean((2, 3)), expected["local_mean_hw"], **parity.FULL)
    torch.testing.assert_close(local.mean(1), expected["local_mean_c"], **parity.FULL)
    torch.testing.assert_close(patches[:, ::28][:, :7, :64], expected["patch_tokens_sample"], **parity.FULL)


def test_a_larger_image_is_cropped_about_its_centre_and_the_cut_cells_are_counted() -> None:
    torch.manual_seed(0)
    tower, pixels = VitTower(TINY).eval(), torch.rand(2, 1, 48, 48)
    with torch.no_grad():
        cropped, features = tower(pixels[:, :, 8:40, 8:40]), tower(pixels)
    assert (cropped.border, features.border) == (0, 1)
    assert torch.equal(cropped.grid, features.grid)
    with pytest.raises(ValueError, match="side of 32 plus a multiple of 16 pixels, found 40x40"):
        tower(pixels[:, :, :40, :40])


def test_positions_are_frozen_as_released_or_learnt() -> None:
    frozen, learnt = VitTower(TINY), VitTower(VitOptions(**{**vars(TINY), "positions": "learnt"}))
    assert not frozen.model.pos_embed.requires_grad
    assert (frozen.model.pos_embed == 0).all()
    assert learnt.model.pos_embed.requires_grad
    assert (learnt.model.pos_embed != 0).any()


def test_it_starts_from_a_file_of_the_released_initial_checkpoints_structure(tmp_path: Path) -> None:
    source = VitTower(TINY).model.state_dict()
    path = tmp_path / "VITB-16-M3AE_last.ckpt"
    others = {"language_encoder.pooler.dense.bias": torch.zeros(3), "vision_encoder.decoder_pred.bias": torch.zeros(2)}
    torch.save({"state_dict": {f"vision_encoder.{k}": v for k, v in source.items()} | others, "epoch": 9}, path)
    tower = VitTower(VitOptions(**{**vars(TINY), "init": str(path)}))
    assert all(torch.equal(tensor, source[name]) for name, tensor in tower.model.state_dict().items())
    torch.save({"state_dict": {f"vision_encoder.{k}": v for k, v in source.items() if "cls" not in k}}, path)
    with pytest.raises(ValueError, match="does not fit the model: missing cls_token"):
        VitTower(VitOptions(**{**vars(TINY), "init": str(path)}))


def test_a_larger_image_is_scaled_before_the_crop_and_a_smaller_cache_refused() -> None:
    options = {"size": 16, "patch": 4, "dim": 8, "depth": 1, "heads": 2, "positions": "learnt"}
    torch.manual_seed(0)
    tower = VitTower(VitOptions(**options, scaled=24)).eval()
    pixels = torch.rand(2, 1, 48, 48).mul(255).round() / 255
    halved = torch.nn.functional.avg_pool2d(pixels, 2).mul(255).add(0.5).floor() / 255
    with torch.no_grad():
        larger, fitting = tower(pixels), tower(halved)
        torch.testing.assert_close(larger.grid, fitting.grid, atol=1e-5, rtol=0)
        assert larger.border == fitting.border == 1
        assert tower(halved[:, :, 4:20, 4:20]).border == 0
    with pytest.raises(ValueError, match=r"reads images of 24 pixels, the cache holds 16; set `cohort\.size: 24`"):
        tower.require_size(16)
    tower.require_size(24)
    with pytest.raises(ValueError, match=r"`scaled` must be `size` \(16\) plus a multiple of .* \(8\), found 20"):
        VitOptions(**options, scaled=20)

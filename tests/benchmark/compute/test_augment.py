"""Augmentation keeps what captions speak of: sides, and values in range."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from baselines.config import VitOptions
from baselines.towers import vit
from benchmark.compute import augment, determinism


def squares(count: int, size: int = 64) -> torch.Tensor:
    """A dim field with a bright square in the left half."""
    images = torch.full((count, size, size), 40, dtype=torch.uint8)
    images[:, 24:40, 8:24] = 200
    return augment.to_unit(images)


def draws(count: int, *key: int) -> torch.Tensor:
    return augment.draw(count, determinism.generator(*key))


def test_bytes_become_the_unit_interval() -> None:
    values = augment.to_unit(torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16))
    assert values.shape == (1, 1, 16, 16)
    np.testing.assert_allclose(values.numpy().ravel(), np.arange(256) / 255, rtol=1e-6)


def test_none_changes_nothing() -> None:
    pixels = squares(3)
    assert torch.equal(augment.augment(pixels, "none", draws(3, 1)), pixels)


@pytest.mark.parametrize(("kind", "side"), [("light", 64), ("published", 56)])
def test_values_stay_in_range_and_every_image_is_changed_in_its_own_way(kind: str, side: int) -> None:
    pixels = squares(16)
    changed = augment.augment(pixels, kind, draws(16, 2))
    assert changed.shape == (16, 1, side, side)
    assert changed.dtype == torch.float32
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert len({tuple(image.flatten().tolist()) for image in changed}) == 16


def brightest_side(pixels: torch.Tensor) -> torch.Tensor:
    """True where the left half is the brighter."""
    half = pixels.shape[-1] // 2
    return pixels[..., :half].sum((1, 2, 3)) > pixels[..., half:].sum((1, 2, 3))


def test_light_never_mirrors() -> None:
    assert brightest_side(augment.augment(squares(500), "light", draws(500, 3))).all()


def test_published_mirrors_three_in_ten() -> None:
    mirrored = ~brightest_side(augment.augment(squares(2000), "published", draws(2000, 4)))
    assert float(mirrored.float().mean()) == pytest.approx(0.3, abs=0.04)


def test_published_without_chance_is_the_centre_crop_and_a_tower_of_its_size_crops_no_more() -> None:
    pixels = torch.rand(2, 1, 256, 256, generator=torch.Generator().manual_seed(3))
    seen = augment.augment(pixels, "published", torch.full((7, 2), 0.5))
    torch.testing.assert_close(seen, pixels[:, :, 16:240, 16:240], atol=1e-4, rtol=0)
    tower = vit.VitTower(VitOptions(depth=1, dim=16, heads=2))
    with torch.no_grad():
        assert tower(seen).border == 0
        torch.testing.assert_close(tower(seen).grid, tower(pixels).grid, atol=1e-3, rtol=1e-3)


def test_a_point_moves_by_no_more_than_the_recipe_allows() -> None:
    pixels = squares(300)
    moved = augment.augment(pixels, "light", draws(300, 5))
    place = torch.arange(64.0)
    weight = (moved - 0.35).clamp(min=0)
    column = (weight.sum((1, 2)) * place).sum(1) / weight.sum((1, 2, 3))
    # Centre of the square: 16 - 31.5 = -15.5 from the middle; scale 5 %, rotation 5 degrees, shift 4 % of 64, rounding.
    assert float((column - 15.5).abs().max()) < 0.05 * 15.5 + 0.04 * 64 + 1.0


def test_the_draws_depend_on_the_key_alone() -> None:
    assert torch.equal(draws(8, 1, 2, 3), draws(8, 1, 2, 3))
    assert not torch.equal(draws(8, 1, 2, 3), draws(8, 1, 2, 4))

"""The small image tower: what it promises of its features."""

from __future__ import annotations

import pytest
import torch

from baselines.config import ConvOptions
from baselines.towers.conv import ConvTower


@pytest.fixture
def tower() -> ConvTower:
    """From scratch, evaluation mode."""
    torch.manual_seed(0)
    return ConvTower(ConvOptions(width=8, dim=16)).eval()


def images(count: int) -> torch.Tensor:
    """Bright discs of random place and size on grey, float32 [count, 1, 32, 32]."""
    draws = torch.rand(3, count, 1, 1, generator=torch.Generator().manual_seed(3))
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    inside = (rows - 32 * draws[0]) ** 2 + (columns - 32 * draws[1]) ** 2 < (3 + 6 * draws[2]) ** 2
    return (0.4 + 0.3 * inside)[:, None]


def test_an_image_scores_alone_as_in_a_batch(tower: ConvTower) -> None:
    both = images(5)
    torch.testing.assert_close(tower(both).pooled[2:3], tower(both[2:3]).pooled, rtol=1e-4, atol=1e-5)


def test_exposure_and_gain_of_the_detector_do_not_matter(tower: ConvTower) -> None:
    dim = 0.1 + 0.8 * images(4)
    torch.testing.assert_close(tower(dim).pooled, tower(images(4)).pooled, rtol=0.2, atol=0.02)


def test_standardising_tells_images_apart_that_random_filters_hardly_do(tower: ConvTower) -> None:
    seen = images(256)
    assert tower(seen).pooled.std(0).max() < 0.3
    tower.standardise(seen)
    after = tower(seen).pooled
    torch.testing.assert_close(after.std(0), torch.ones(16), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(after.mean(0), torch.zeros(16), rtol=0, atol=1e-3)


def test_a_scalar_on_the_filters_is_a_scalar_on_the_output(tower: ConvTower) -> None:
    x, factor = torch.randn(2, 3, 16, 16), torch.tensor(0.37)
    torch.testing.assert_close(tower.stem(x, factor), tower.stem(x) * factor, rtol=1e-5, atol=1e-6)

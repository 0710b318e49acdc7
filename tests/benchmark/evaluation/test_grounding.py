"""Pointing game, CNR and mIoU against literal upsampling of every pixel with PyTorch."""

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt
from torch.nn.functional import interpolate

from benchmark.evaluation import grounding, regions
from benchmark.evaluation.regions import Region
from benchmark.evaluation.surface import Placement

HEIGHT, WIDTH, SQUARE = 600, 480, 80  # fitted to 80 x 64: the proportions survive exactly


def upsampled(heatmap: np.ndarray) -> np.ndarray:
    side = max(HEIGHT, WIDTH)
    whole = interpolate(torch.from_numpy(heatmap)[None, None], (side, side), mode="bilinear", align_corners=False)
    left = (side - WIDTH) // 2
    return whole[0, 0, :HEIGHT, left : left + WIDTH].numpy()


def ellipse() -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.hypot((rows - 350) / 150, (columns - 170) / 60) < 1


def boxes(*corners: tuple[int, int, int, int]) -> Region:
    return Region("a", "Edema", "box", regions.disjoint(np.array(corners)))


def mask_of(region: Region) -> np.ndarray:
    return region.contains(np.arange(HEIGHT), np.arange(WIDTH))


REGIONS = {
    "box": boxes((100, 50, 300, 200)),
    "two overlapping boxes": boxes((100, 50, 300, 200), (250, 150, 500, 400)),
    "small box": boxes((321, 260, 339, 281)),
    "mask": Region(
        "a", "Edema", "mask",
        np.stack([np.argwhere(ellipse())[:, 0], np.argwhere(ellipse())[:, 1], np.argwhere(ellipse())[:, 0] + 1,
                  np.argwhere(ellipse())[:, 1] + 1], axis=1),
    ),
}  # fmt: skip


def heatmaps_around(region: Region, count: int = 6) -> np.ndarray:
    """Noise, some of it brighter where the region is, so that hits, misses and every threshold occur."""
    generator = np.random.default_rng(3)
    noise = generator.normal(size=(count, 10, 10))
    square = np.zeros((SQUARE, SQUARE))
    rows, columns = np.nonzero(mask_of(region))
    square[rows * SQUARE // HEIGHT, 8 + columns * 64 // WIDTH] = 1
    inside = square.reshape(10, 8, 10, 8).mean(axis=(1, 3))
    return noise + 4 * np.linspace(-0.5, 1.5, count)[:, None, None] * inside / inside.max()


@pytest.mark.parametrize("name", REGIONS)
def test_each_measure_equals_its_definition_on_all_pixels(name: str) -> None:
    region = REGIONS[name]
    mask, heatmaps = mask_of(region), heatmaps_around(region)
    found = grounding.measure(heatmaps, [region] * len(heatmaps), Placement.of(HEIGHT, WIDTH, SQUARE))
    hits = []
    for heatmap, result in zip(heatmaps, found, strict=True):
        pixels = upsampled(heatmap)
        hits.append(bool(mask.flat[(pixels > pixels.max() - 1e-12).argmax()]))  # PyTorch's rounding breaks plateaus
        assert bool(result.hit) == hits[-1]
        inside, outside = pixels[mask], pixels[~mask]
        cnr = (inside.mean() - outside.mean()) / np.sqrt(inside.var() + outside.var())
        assert result.cnr == pytest.approx(cnr, abs=1e-8)
        scaled = (pixels - pixels.min()) / (pixels.max() - pixels.min())
        ious = [((scaled > t) & mask).sum() / ((scaled > t) | mask).sum() for t in (0.1, 0.2, 0.3, 0.4, 0.5)]
        assert result.miou == pytest.approx(np.mean(ious), abs=0.006)
        assert result.size == result.chance == pytest.approx(mask.mean())
    assert 0 < sum(hits) < len(hits)


@pytest.mark.parametrize("tolerance", [4.9, 5.0, 15.0])
def test_a_near_miss_is_a_hit_within_the_tolerance(tolerance: float) -> None:
    heatmap = np.zeros((1, 10, 10))
    heatmap[0, 5, 5] = 1.0
    row, column = np.argwhere(upsampled(heatmap[0]) > upsampled(heatmap[0]).max() - 1e-12)[0]  # of four equal ones
    region = boxes((row + 3, column + 4, row + 60, column + 60))  # 3 and 4 pixels away: distance 5
    placement = Placement.of(HEIGHT, WIDTH, SQUARE)
    (result,) = grounding.measure(heatmap, [region], placement, tolerance)
    assert result.hit == (tolerance >= 5)
    reached = distance_transform_edt(~mask_of(region)) <= tolerance
    assert result.chance == pytest.approx(reached.mean(), abs=0.002)
    assert result.size == pytest.approx(region.area / (HEIGHT * WIDTH))


def test_chance_is_the_hit_rate_of_a_blind_pointer() -> None:
    region = REGIONS["two overlapping boxes"]
    maps = np.random.default_rng(0).normal(size=(400, 40, 32))  # fine noise: its maximum is anywhere
    results = grounding.measure(maps, [region] * len(maps), Placement.of(HEIGHT, WIDTH, SQUARE))
    rate = np.mean([result.hit for result in results])
    assert rate == pytest.approx(results[0].chance, abs=4 * np.sqrt(0.25 / 400))


def test_a_constant_map_points_at_the_first_pixel_and_shows_nothing() -> None:
    corner, elsewhere = boxes((0, 0, 9, 9)), boxes((50, 50, 90, 90))
    results = grounding.measure(np.full((2, 5, 5), 0.3), [corner, elsewhere], Placement.of(HEIGHT, WIDTH, SQUARE))
    assert [result.hit for result in results] == [1, 0]
    assert [result.cnr for result in results] == [0.0, 0.0]
    assert [result.miou for result in results] == [0.0, 0.0]


def test_a_large_offset_costs_no_contrast() -> None:
    region, placement = REGIONS["box"], Placement.of(HEIGHT, WIDTH, SQUARE)
    heatmap = heatmaps_around(region)[:1]
    (near,) = grounding.measure(heatmap, [region], placement)
    (far,) = grounding.measure(heatmap + 1e6, [region], placement)
    assert far.cnr == pytest.approx(near.cnr, rel=1e-6)


def test_a_dark_region_has_negative_contrast() -> None:
    region, placement = REGIONS["box"], Placement.of(HEIGHT, WIDTH, SQUARE)
    heatmap = heatmaps_around(region)[-1:]
    (bright,) = grounding.measure(heatmap, [region], placement)
    (dark,) = grounding.measure(-heatmap, [region], placement)
    assert bright.cnr > 0
    assert dark.cnr == pytest.approx(-bright.cnr)


def test_a_region_that_is_the_whole_image_is_always_hit_and_has_no_contrast() -> None:
    region = boxes((0, 0, HEIGHT, WIDTH))
    (result,) = grounding.measure(np.eye(6)[None], [region], Placement.of(HEIGHT, WIDTH, SQUARE))
    assert (result.hit, result.chance, result.cnr, result.size) == (1, 1.0, 0.0, 1.0)

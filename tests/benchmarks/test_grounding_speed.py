"""Grounding at native resolution: 3,000 images of 2,500 x 2,000 pixels with 22 findings each take under a minute.

    pytest tests/benchmarks/test_grounding_speed.py --benchmark-only

An image with all its findings is timed, beside the literal way: upsample every heatmap with PyTorch, search and
count all pixels. ``extra_info`` has the seconds for 3,000 images and the ratio.
"""

import time

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch.nn.functional import interpolate

from benchmark.evaluation import grounding, regions
from benchmark.evaluation.regions import Region
from benchmark.evaluation.surface import Placement

HEIGHT, WIDTH, CELLS, FINDINGS, IMAGES = 2500, 2000, 14, 22, 3000
SQUARE = 250  # a tenth of the image: its fitted copy has whole pixels, so the literal crop is exact
MASK_HEIGHT, MASK_WIDTH = 2320, 2828  # a typical CheXpert original
GENERATOR = np.random.default_rng(0)
HEATMAPS = GENERATOR.normal(size=(FINDINGS, CELLS, CELLS)).astype(np.float32)


def boxes() -> list[Region]:
    """One to three boxes for each finding, of VinDr's range of sizes."""
    found = []
    for k in range(FINDINGS):
        count = GENERATOR.integers(1, 4)
        corner = GENERATOR.integers(0, 1500, (count, 2))
        size = GENERATOR.integers(40, 900, (count, 2)).clip(max=np.array([HEIGHT, WIDTH]) - corner)
        found.append(Region("a", str(k), "box", regions.disjoint(np.concatenate([corner, corner + size], axis=1))))
    return found


def masks() -> list[Region]:
    """An ellipse for each finding, cut into runs of columns as CheXlocalize's masks are."""
    found = []
    for k in range(FINDINGS):
        centre, radii = GENERATOR.integers(700, 1500, 2), GENERATOR.integers(150, 600, 2)
        columns = np.arange(centre[1] - radii[1] + 1, centre[1] + radii[1])
        half = (radii[0] * np.sqrt(1 - ((columns - centre[1]) / radii[1]) ** 2)).astype(int) + 1
        parts = np.stack([centre[0] - half, columns, centre[0] + half, columns + 1], axis=1)
        found.append(Region("a", str(k), "mask", parts))
    return found


def literal(heatmap: np.ndarray, region: Region) -> tuple[bool, float, float]:
    """Hit, CNR and mIoU from the upsampled map, pixel by pixel."""
    side = max(HEIGHT, WIDTH)
    square = interpolate(torch.from_numpy(heatmap)[None, None], (side, side), mode="bilinear")[0, 0].numpy()
    left = (side - WIDTH) // 2
    pixels = square[:HEIGHT, left : left + WIDTH]
    mask = np.zeros(pixels.shape, bool)
    for top, start, bottom, end in region.rectangles:
        mask[top:bottom, start:end] = True
    inside, outside = pixels[mask].astype(np.float64), pixels[~mask].astype(np.float64)
    cnr = (inside.mean() - outside.mean()) / np.sqrt(inside.var() + outside.var())
    scaled = (pixels - pixels.min()) / (pixels.max() - pixels.min())
    ious = [((scaled > t) & mask).sum() / ((scaled > t) | mask).sum() for t in grounding.THRESHOLDS]
    return bool(mask.flat[pixels.argmax()]), cnr, float(np.mean(ious))


@pytest.mark.benchmark(group="grounding, one image with 22 findings")
def test_boxes_at_native_resolution(benchmark: BenchmarkFixture) -> None:
    truth, placement = boxes(), Placement.of(HEIGHT, WIDTH, SQUARE)
    found = benchmark(grounding.measure, HEATMAPS, truth, placement)
    started = time.perf_counter()
    sample = [literal(HEATMAPS[k], truth[k]) for k in range(3)]
    plain = (time.perf_counter() - started) / len(sample) * FINDINGS
    for result, (hit, cnr, miou) in zip(found, sample, strict=False):
        assert result.hit == hit
        assert result.cnr == pytest.approx(cnr, abs=1e-4)  # the literal way upsamples in float32
        assert result.miou == pytest.approx(miou, abs=0.01)
    seconds = benchmark.stats.stats.median
    benchmark.extra_info |= {
        "3000 images, s": round(IMAGES * seconds, 1),
        "ratio": plain / seconds,
        "reference": "upsampled maps, pixel by pixel",
    }
    assert IMAGES * seconds < 60


@pytest.mark.benchmark(group="grounding, one image with 22 findings")
def test_masks_at_native_resolution(benchmark: BenchmarkFixture) -> None:
    truth, placement = masks(), Placement.of(MASK_HEIGHT, MASK_WIDTH, SQUARE)
    benchmark(grounding.measure, HEATMAPS, truth, placement)
    benchmark.extra_info["3000 images, s"] = round(IMAGES * benchmark.stats.stats.median, 1)

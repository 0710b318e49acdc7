"""Does a heatmap point at the finding? Pointing game, contrast-to-noise ratio and mean IoU for one picture.

Pointing game (Zhang et al., IJCV 2018): the first maximum, in row-major order, over the picture's own pixels; a hit
when it lies in, or within ``tolerance`` pixels of, any ground-truth region of that finding. CNR and mIoU over the
thresholds 0.1 to 0.5 after Boecking et al. (BioViL, ECCV 2022), with two differences that are ours: CNR keeps its
sign, because a map that is bright everywhere but on the finding must not count as contrast, and a map is scaled to
[0, 1] by its own extremes before the thresholds, because similarities and attention weights share no unit.
docs/grounding.md has the geometry and what is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from benchmark.evaluation.regions import Region
from benchmark.evaluation.surface import Integers, Placement, Surface

THRESHOLDS = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
PICTURE_LINES = 128
REGION_LINES = 64
"""mIoU counts on at most this many rows and columns over the picture and over a region's bounding box."""


@dataclass(frozen=True)
class Grounding:
    """One row of pointing.parquet, without its keys."""

    hit: int
    chance: float
    """Probability that a uniformly drawn pixel is a hit."""
    cnr: float
    miou: float
    size: float
    """Region area over picture area."""


def measure(
    heatmaps: NDArray[np.floating], regions: Sequence[Region], placement: Placement, tolerance: float = 0.0
) -> list[Grounding]:
    """Measure the heatmaps of one picture against their regions.

    Args:
        heatmaps: (regions, h, w) over the cached square, one for each region's finding; finite.
        regions: of this picture, in the order of the heatmaps.
        placement: where the picture lies in the square.
        tolerance: pixels of the original by which the maximum may miss a region.
    """
    surface = Surface.of(heatmaps, placement)
    row, column, highest = surface.maximum()
    lowest = surface.minimum()
    pixels = placement.height * placement.width
    above = _share_above(surface, lowest, highest, placement)
    found = []
    for i, region in enumerate(regions):
        size = region.area / pixels
        found.append(
            Grounding(
                hit=int(region.distance(int(row[i]), int(column[i])) <= tolerance),
                chance=_chance(region, placement, tolerance) if tolerance > 0 else size,
                cnr=_contrast_to_noise(surface, i, region, placement),
                miou=_mean_iou(surface, i, region, lowest[i], highest[i], above[i] * pixels),
                size=size,
            )
        )
    return found


def _lines(lower: int, upper: int, most: int) -> Integers:
    """At most ``most`` pixel indices spread evenly over [lower, upper): all of them where that suffices."""
    count = min(upper - lower, most)
    return lower + ((np.arange(count) + 0.5) * (upper - lower) / count).astype(np.int64)


def _levels(values: NDArray[np.float64], lowest: float, highest: float) -> NDArray[np.float64]:
    """Scale to [0, 1]; a constant map becomes 0 everywhere, so that it passes no threshold."""
    return (values - lowest) / (highest - lowest) if highest > lowest else np.zeros_like(values)


def _share_above(
    surface: Surface, lowest: NDArray[np.float64], highest: NDArray[np.float64], placement: Placement
) -> NDArray[np.float64]:
    """Share of the picture above each threshold, (maps, thresholds), on the evaluation grid."""
    values = surface.at(_lines(0, placement.height, PICTURE_LINES), _lines(0, placement.width, PICTURE_LINES))
    flat = values.reshape(len(values), -1)
    scaled = np.stack([_levels(*row) for row in zip(flat, lowest, highest, strict=True)])
    return np.stack([(scaled > threshold).mean(axis=1) for threshold in THRESHOLDS], axis=1)


def _mean_iou(
    surface: Surface, index: int, region: Region, lowest: float, highest: float, above: NDArray[np.float64]
) -> float:
    """Mean over thresholds of |map above and region| / |map above or region|.

    Args:
        surface: the picture's maps.
        index: which map.
        region: its ground truth.
        lowest: the map's minimum.
        highest: the map's maximum.
        above: (thresholds,) pixels of the picture above each.
    """
    top, left = region.rectangles[:, :2].min(axis=0)
    bottom, right = region.rectangles[:, 2:].max(axis=0)
    rows, columns = _lines(top, bottom, REGION_LINES), _lines(left, right, REGION_LINES)
    inside = _levels(surface.only(index).at(rows, columns)[0][region.contains(rows, columns)], lowest, highest)
    both = region.area * (inside[:, None] > THRESHOLDS).mean(axis=0) if len(inside) else np.zeros(len(THRESHOLDS))
    return float((both / (above + region.area - both)).mean())


def _contrast_to_noise(surface: Surface, index: int, region: Region, placement: Placement) -> float:
    """(mean inside - mean outside) / sqrt(variance inside + variance outside), over pixels.

    0 for a constant map and for a region that covers the whole picture: neither has any contrast.
    """
    everywhere = np.array([[0, 0, placement.height, placement.width]])
    area, pixels = region.area, placement.height * placement.width
    if area == pixels:
        return 0.0
    centre = surface.only(index).centred()
    total, squares = (float(sums[0]) for sums in centre.sums(everywhere))
    inner, inner_squares = (float(sums[0]) for sums in centre.sums(region.rectangles))
    mean_in, mean_out = inner / area, (total - inner) / (pixels - area)
    variance = max(inner_squares / area - mean_in**2, 0.0)
    variance += max((squares - inner_squares) / (pixels - area) - mean_out**2, 0.0)
    return float((mean_in - mean_out) / np.sqrt(variance)) if variance > 0 else 0.0


def _chance(region: Region, placement: Placement, tolerance: float) -> float:
    """Share of the evaluation grid within ``tolerance`` pixels of the region."""
    rows, columns = _lines(0, placement.height, 4 * PICTURE_LINES), _lines(0, placement.width, 4 * PICTURE_LINES)
    inside = region.contains(rows, columns)
    if not inside.any():  # smaller than the grid's spacing
        return region.area / (placement.height * placement.width)
    spacing = (placement.height / len(rows), placement.width / len(columns))
    return float((distance_transform_edt(~inside, sampling=spacing) <= tolerance).mean())

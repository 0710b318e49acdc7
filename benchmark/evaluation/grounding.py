"""Does a heatmap point at the finding? Pointing game, contrast-to-noise ratio and mean IoU for one image.

Pointing game (Zhang et al., IJCV 2018): the first maximum, in row-major order, over the image's own pixels; a hit
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
from benchmark.evaluation.surface import Floats, Integers, Placement, Surface

THRESHOLDS = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
IMAGE_LINES = 128
REGION_LINES = 64
"""mIoU counts on at most this many rows and columns over the image and over a region's bounding box."""


@dataclass(frozen=True)
class Grounding:
    """One row of pointing.parquet, without its keys."""

    hit: int
    chance: float
    """Probability that a uniformly drawn pixel is a hit."""
    cnr: float
    miou: float
    size: float
    """Region area over image area."""


def measure(
    heatmaps: NDArray[np.floating],
    regions: Sequence[Region],
    placement: Placement,
    tolerance: float = 0.0,
    whole: bool = True,
) -> list[Grounding]:
    """Measure the heatmaps of one image against their regions.

    Args:
        heatmaps: (regions, h, w) over the cached square, one for each region's finding; finite.
        regions: of this image, in the order of the heatmaps.
        placement: where the image lies in the square.
        tolerance: pixels of the original by which the maximum may miss a region.
        whole: False leaves CNR and mIoU, which take most of the time, at NaN.
    """
    surface = Surface.of(heatmaps, placement)
    row, column, highest = surface.maximum()
    pixels = placement.height * placement.width
    contrasts = ious = np.full(len(regions), np.nan)
    if whole:
        contrasts = _contrast_to_noise(surface, regions, placement)
        ious = _mean_iou(surface, regions, placement, surface.minimum(), highest)
    found = []
    for i, region in enumerate(regions):
        size = region.area / pixels
        found.append(
            Grounding(
                hit=int(region.distance(int(row[i]), int(column[i])) <= tolerance),
                chance=_chance(region, placement, tolerance) if tolerance > 0 else size,
                cnr=float(contrasts[i]),
                miou=float(ious[i]),
                size=size,
            )
        )
    return found


def _contrast_to_noise(surface: Surface, regions: Sequence[Region], placement: Placement) -> Floats:
    """(mean inside - mean outside) / sqrt(variance inside + variance outside), over pixels, (maps,); exact.

    0 for a constant map and for a region that covers the whole image: neither has any contrast.
    """
    everywhere = np.array([[0, 0, placement.height, placement.width]])
    pixels = placement.height * placement.width
    centred = surface.centred()
    total, squares = centred.sums([everywhere] * len(regions))
    inner, inner_squares = centred.sums([region.rectangles for region in regions])
    area = np.array([region.area for region in regions], np.float64)
    rest = np.maximum(pixels - area, 1)
    mean_in, mean_out = inner / area, (total - inner) / rest
    variance = np.maximum(inner_squares / area - mean_in**2, 0)
    variance += np.maximum((squares - inner_squares) / rest - mean_out**2, 0)
    defined = (variance > 0) & (area < pixels)
    contrast: Floats = np.where(defined, (mean_in - mean_out) / np.sqrt(np.where(defined, variance, 1)), 0.0)
    return contrast


def _mean_iou(
    surface: Surface, regions: Sequence[Region], placement: Placement, lowest: Floats, highest: Floats
) -> Floats:
    """Mean over thresholds of |map above and region| / |map above or region|, (maps,).

    Areas above a threshold are counted on two grids of pixels, one over the image and a finer one over the
    region's bounding box; the region's own area is exact. A constant map is above no threshold.
    """
    cuts = lowest[:, None] + (highest - lowest)[:, None] * THRESHOLDS  # (maps, thresholds)
    cuts = np.where((highest > lowest)[:, None], cuts, np.inf).astype(np.float32)
    pixels = placement.height * placement.width
    whole = surface.sampled(
        _lines(0, placement.height, IMAGE_LINES)[None], _lines(0, placement.width, IMAGE_LINES)[None]
    )
    above = pixels * np.stack([(whole > cut[:, None, None]).mean(axis=(1, 2)) for cut in cuts.T], axis=1)
    both = np.zeros_like(above)
    for i, region in enumerate(regions):
        top, left = region.rectangles[:, :2].min(axis=0)
        bottom, right = region.rectangles[:, 2:].max(axis=0)
        rows, columns = _lines(top, bottom, REGION_LINES), _lines(left, right, REGION_LINES)
        near = surface.only(i).sampled(rows[None], columns[None])[0]
        inside = near[region.contains(rows, columns)] if len(region.rectangles) > 1 else near.ravel()
        if len(inside):
            both[i] = region.area * (inside > cuts[i][:, None]).mean(axis=1)
    area = np.array([region.area for region in regions])[:, None]
    ious: Floats = (both / (above + area - both)).mean(axis=1)
    return ious


def _lines(lower: int, upper: int, most: int) -> Integers:
    """At most ``most`` pixel indices spread evenly over [lower, upper): all of them where that suffices."""
    count = min(upper - lower, most)
    return lower + ((np.arange(count) + 0.5) * (upper - lower) / count).astype(np.int64)


def _chance(region: Region, placement: Placement, tolerance: float) -> float:
    """Share of an evaluation grid within ``tolerance`` pixels of the region."""
    rows, columns = _lines(0, placement.height, 4 * IMAGE_LINES), _lines(0, placement.width, 4 * IMAGE_LINES)
    inside = region.contains(rows, columns)
    if not inside.any():  # smaller than the grid's spacing
        return region.area / (placement.height * placement.width)
    spacing = (placement.height / len(rows), placement.width / len(columns))
    return float((distance_transform_edt(~inside, sampling=spacing) <= tolerance).mean())

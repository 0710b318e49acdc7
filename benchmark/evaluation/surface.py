"""A heatmap as a bilinear surface over an image's own pixels, never materialised.

A heatmap of h x w cells covers the cached square (cohort/cache.py: the image fitted to S x S pixels, centred,
zero padded). Upsampling it bilinearly (align_corners=False) to the square, cutting the padding away and reading it
at every pixel centre of the original gives a surface that is, between four cell centres, a + bt + cs + dts. So its
maximum over pixels lies at a first or last pixel of such a patch, and sums over rectangles are products of sums
along each axis: exact, whatever the resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from benchmark.common.placement import placed

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
ROUNDING = 1024 * np.finfo(np.float64).eps
"""What rounding can add to an interpolated value, as a share of the map's greatest magnitude (2e-13): a few units in
the last place for each cell that a position is counted from. Heatmaps are float32, so values that truly differ, even by
one such step between two cells 4,000 pixels apart, differ by 1e-11 of it and more."""


@dataclass(frozen=True)
class Placement:
    """Where an image lies inside the cached square: sizes of the original and of its fitted copy, pixels."""

    height: int
    width: int
    fitted_height: int
    fitted_width: int
    top: int
    left: int
    size: int

    @classmethod
    def of(cls, height: int, width: int, size: int) -> Placement:
        """Where the cache (cohort/images.py) puts an image of this size."""
        return cls(height, width, *placed(height, width, size), size)

    def to_square(self, row: float, column: float) -> tuple[float, float]:
        """A point of the original (0 = its top left corner) in pixels of the cached square."""
        return (
            self.top + row * self.fitted_height / self.height,
            self.left + column * self.fitted_width / self.width,
        )

    @property
    def axes(self) -> tuple[tuple[int, float, float], tuple[int, float, float]]:
        """(pixels, offset, extent) of rows and columns; offset and extent as fractions of the square."""
        return (
            (self.height, self.top / self.size, self.fitted_height / self.size),
            (self.width, self.left / self.size, self.fitted_width / self.size),
        )


@dataclass(frozen=True, eq=False)
class Axis:
    """One direction of the surface: which patch each pixel falls in, and where inside it.

    The heatmap is extended by one copy of its edge on either side, so patch k lies between cells k and k + 1 of the
    extended map, k = 0 .. cells, and the two outermost patches are flat, as in ``torch.nn.functional.interpolate``.
    """

    pixels: int
    cells: int
    first: Integers
    """(cells + 1,) the first pixel of each patch (the next patch's where it holds none)."""
    count: Integers
    """(cells + 1,) pixels in each patch."""
    start: Floats
    """(cells + 1,) position of each patch's first pixel within it, 0 to 1."""
    step: float
    """Distance of neighbouring pixels, in cells."""

    def locate(self, pixels: Integers) -> tuple[Integers, Floats]:
        """Patch and position within it (0 to 1) of the given pixel indices."""
        patch = np.searchsorted(self.first, pixels, side="right") - 1
        return patch, self.start[patch] + (pixels - self.first[patch]) * self.step

    @property
    def candidates(self) -> Integers:
        """First and last pixel of every patch that holds one, ascending: a maximum lies on two of them."""
        held = self.count > 0
        return np.unique(np.concatenate([self.first[held], (self.first + self.count - 1)[held]]))

    def moments(self, lower: Integers, upper: Integers) -> Floats:
        """Sums of position**p, p = 0, 1, 2, over the pixels of [lower, upper) in each patch: (n, 3, cells + 1)."""
        return self._moments_below(upper) - self._moments_below(lower)

    def weights(self, pixels: Integers) -> NDArray[np.float32]:
        """Share of each cell of the extended map in each of ``pixels`` (..., n): (..., n, cells + 2), two a row."""
        patch, position = self.locate(pixels)
        shares = np.zeros((*pixels.shape, self.cells + 2), np.float32)
        np.put_along_axis(shares, patch[..., None], 1 - position[..., None], axis=-1)
        np.put_along_axis(shares, patch[..., None] + 1, position[..., None], axis=-1)
        return shares

    def _moments_below(self, pixel: Integers) -> Floats:
        n = np.clip(pixel[:, None] - self.first, 0, self.count).astype(np.float64)
        ramp, squares = n * (n - 1) / 2, (n - 1) * n * (2 * n - 1) / 6
        linear = n * self.start + self.step * ramp
        square = n * self.start**2 + 2 * self.start * self.step * ramp + self.step**2 * squares
        return np.stack([n, linear, square], axis=1)


@lru_cache(maxsize=4096)
def axis(pixels: int, offset: float, extent: float, cells: int) -> Axis:
    """The axis of ``pixels`` pixels that cover [offset, offset + extent] of a square of ``cells`` cells."""
    position = (offset + (np.arange(pixels) + 0.5) / pixels * extent) * cells - 0.5
    patch = np.clip(np.floor(position).astype(np.int64) + 1, 0, cells)
    count = np.bincount(patch, minlength=cells + 1)
    first = np.searchsorted(patch, np.arange(cells + 1))
    start = position[np.minimum(first, pixels - 1)] - (np.arange(cells + 1) - 1)
    return Axis(pixels, cells, first, count, np.where(count > 0, start, 0.0), extent / pixels * cells)


@dataclass(frozen=True, eq=False)
class Surface:
    """The upsampled surfaces of several heatmaps of one image."""

    extended: Floats
    """(maps, h + 2, w + 2): the heatmaps with their edges repeated."""
    rows: Axis
    columns: Axis

    @classmethod
    def of(cls, heatmaps: NDArray[np.floating], placement: Placement) -> Surface:
        """Lay heatmaps (maps, h, w) over the image that ``placement`` describes."""
        vertical, horizontal = placement.axes
        extended = np.pad(heatmaps.astype(np.float64), ((0, 0), (1, 1), (1, 1)), mode="edge")
        return cls(extended, axis(*vertical, heatmaps.shape[1]), axis(*horizontal, heatmaps.shape[2]))

    def at(self, rows: Integers, columns: Integers) -> Floats:
        """Values on the grid of the given pixel rows and columns: (maps, rows, columns).

        Interpolates as a + t (b - a), so equal neighbours give exactly their value and plateaus stay ties.
        """
        k, t = self.rows.locate(rows)
        lower = self.extended[:, k]
        lines = lower + t[:, None] * (self.extended[:, k + 1] - lower)
        k, s = self.columns.locate(columns)
        lower = lines[:, :, k]
        return lower + s * (lines[:, :, k + 1] - lower)

    def maximum(self) -> tuple[Integers, Integers, Floats]:
        """Row, column and value of the first maximum in row-major order over all pixels, each (maps,).

        Along a row of a patch the surface is linear, and so along a column: over the pixels of a patch the maximum
        is reached at a corner, and if on a whole edge or patch, then at its first pixel too. Values that differ by
        rounding alone are equal: which of them is greater says nothing about the map.
        """
        rows, columns = self.rows.candidates, self.columns.candidates
        values = self.at(rows, columns).reshape(len(self.extended), -1)
        highest = values.max(axis=1)
        margin = ROUNDING * np.abs(self.extended).max(axis=(1, 2))
        first = (values >= (highest - margin)[:, None]).argmax(axis=1)
        row, column = np.unravel_index(first, (len(rows), len(columns)))
        return rows[row], columns[column], highest

    def minimum(self) -> Floats:
        """The smallest value over all pixels, (maps,)."""
        return self.at(self.rows.candidates, self.columns.candidates).min(axis=(1, 2))

    def sampled(self, rows: Integers, columns: Integers) -> NDArray[np.float32]:
        """As ``at`` to float32 precision, by matrix products: what areas are counted on.

        Args:
            rows: (maps, n) or (1, n) pixel rows, other rows for each map or the same for all.
            columns: likewise.
        """
        vertical, horizontal = self.rows.weights(rows), self.columns.weights(columns)
        values: NDArray[np.float32] = vertical @ self.extended.astype(np.float32) @ horizontal.transpose(0, 2, 1)
        return values

    def sums(self, rectangles: Sequence[Integers]) -> tuple[Floats, Floats]:
        """Sum of each map, and of its square, over all pixels of its own rectangles, each (maps,).

        Args:
            rectangles: for each map (n, 4) of disjoint [top, left, bottom, right), pixels.
        """
        every = np.concatenate(rectangles)
        vertical = self.rows.moments(every[:, 0], every[:, 2]).reshape(len(every), -1)
        horizontal = self.columns.moments(every[:, 1], every[:, 3]).reshape(len(every), -1)
        ends = np.cumsum([0, *map(len, rectangles)])
        weights = np.stack([vertical[i:j].T @ horizontal[i:j] for i, j in pairwise(ends)])
        weights = weights.reshape(len(rectangles), 3, self.rows.cells + 1, 3, self.columns.cells + 1)
        a = self.extended[:, :-1, :-1]
        b, c = self.extended[:, 1:, :-1] - a, self.extended[:, :-1, 1:] - a
        d = self.extended[:, 1:, 1:] - self.extended[:, 1:, :-1] - c
        value = np.array([[a, c], [b, d]])  # [p, q]: coefficient of t**p s**q, of each map and patch
        square = np.array(
            [[a * a, 2 * a * c, c * c], [2 * a * b, 2 * (a * d + b * c), 2 * c * d], [b * b, 2 * b * d, d * d]]
        )
        total = np.einsum("pqmkl,mpkql->m", value, weights[:, :2, :, :2])
        return total, np.einsum("pqmkl,mpkql->m", square, weights)

    def only(self, index: int) -> Surface:
        """The surface of one of the maps."""
        return replace(self, extended=self.extended[index : index + 1])

    def centred(self) -> Surface:
        """Every map less the mean of its cells, so that sums of squares lose no digits to a large offset."""
        return replace(self, extended=self.extended - self.extended[:, 1:-1, 1:-1].mean(axis=(1, 2), keepdims=True))

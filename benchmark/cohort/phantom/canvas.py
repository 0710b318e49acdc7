"""Brushes on the canvas of ``anatomy.py``: grids, smooth noise, spheres, lines, places in a lung."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from benchmark.cohort.phantom.anatomy import HEIGHT, PIXEL, WATER, WIDTH, Anatomy

ROWS, COLUMNS = np.meshgrid(np.arange(HEIGHT, dtype=np.float32), np.arange(WIDTH, dtype=np.float32), indexing="ij")
TISSUE_FOR_LUNG = 0.75 * WATER
"""Attenuation gained per mm when soft tissue or fluid takes the place of aerated lung, 1/mm."""
LUNG = 0.25 * WATER
"""Attenuation of aerated lung, 1/mm."""
LUNG_TOP = {"right": 24, "left": 14}
LUNG_BASE = {"right": 150, "left": 156}
"""Row of the lateral costophrenic angle."""
LATERAL = {"right": 42, "left": 214}
MEDIAL = {"right": 108, "left": 140}
"""Columns of the lung's outer and inner edge near the base."""
HILUM = {"right": (88.0, 96.0), "left": (80.0, 150.0)}
"""(row, column) of the hila."""

Warp = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(rows, columns) of the image -> displacement (rows, columns) to where the canvas is read, canvas pixels."""


@dataclass(frozen=True)
class Drawing:
    """What one finding adds to an image."""

    integral: np.ndarray | None = None
    """Attenuation integral on the canvas, float32 (HEIGHT, WIDTH); may be negative."""
    region: np.ndarray | None = None
    """Where it is seen, bool (HEIGHT, WIDTH); None for what has no place of its own."""
    warp: Warp | None = None


def outward(side: str, columns: np.ndarray = COLUMNS) -> np.ndarray:
    """0 at the inner edge of a lung's base, 1 at its outer edge."""
    return (columns - MEDIAL[side]) / (LATERAL[side] - MEDIAL[side])


def _dome(side: str) -> np.ndarray:
    """Row of the diaphragm's dome at each column."""
    across = np.clip(outward(side, COLUMNS), 0, 1.1)
    return 122 + 28 * across**2 if side == "right" else 144 + 14 * across**2


def step(values: np.ndarray) -> np.ndarray:
    """Logistic step, float32."""
    return (1 / (1 + np.exp(-np.clip(values, -30, 30)))).astype(np.float32)


@cache
def aerated(side: str) -> np.ndarray:
    """1 above the diaphragm's dome, 0 below it, where lung is hidden by liver or stomach; soft, float32."""
    return step((_dome(side) - ROWS) / 3)


def gaussian(row: float, column: float, height: float, width: float, angle: float = 0.0) -> np.ndarray:
    """Unit-high Gaussian; ``height``/``width`` are standard deviations in pixels, ``angle`` in radians."""
    y, x = ROWS - row, COLUMNS - column
    c, s = np.cos(angle), np.sin(angle)
    return np.exp(-0.5 * (((c * y - s * x) / height) ** 2 + ((s * y + c * x) / width) ** 2)).astype(np.float32)


def smooth_noise(rng: np.random.Generator, size: float) -> np.ndarray:
    """Standard normal noise whose features are about ``size`` pixels wide, float32 (HEIGHT, WIDTH)."""
    shape = (max(3, round(HEIGHT / size)), max(3, round(WIDTH / size)))
    coarse = rng.standard_normal(shape, dtype=np.float32)
    return cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def sphere(row: float, column: float, radius_mm: float) -> np.ndarray:
    """Length of the ray inside a sphere, mm."""
    squared = (radius_mm / PIXEL) ** 2 - (ROWS - row) ** 2 - (COLUMNS - column) ** 2
    return np.float32(2 * PIXEL) * np.sqrt(np.maximum(squared, 0))


def line(points: Sequence[tuple[float, float]], width: float, blur: float = 0.6) -> np.ndarray:
    """Unit-high anti-aliased polyline through (row, column) points, ``width`` pixels wide, float32."""
    image = np.zeros((HEIGHT, WIDTH), np.uint8)
    fixed = np.round(np.array([(column, row) for row, column in points]) * 16).astype(np.int32)
    cv2.polylines(image, [fixed[:, None]], False, 255, max(1, round(width)), cv2.LINE_AA, 4)
    return cv2.GaussianBlur(image.astype(np.float32) / 255, (0, 0), blur)


def curve(points: Sequence[tuple[float, float]], count: int = 24) -> list[tuple[float, float]]:
    """A smooth path near the given (row, column) points (Bezier)."""
    control = np.asarray(points, float)
    t = np.linspace(0, 1, count)[:, None, None]
    level = np.repeat(control[None], count, axis=0)
    while level.shape[1] > 1:
        level = level[:, :-1] * (1 - t) + level[:, 1:] * t
    return [(float(row), float(column)) for row, column in level[:, 0]]


def visible(integral: np.ndarray, share: float = 0.25) -> np.ndarray:
    """Where an integral exceeds a share of its greatest magnitude, bool."""
    magnitude = np.abs(integral)
    return magnitude > max(share * float(magnitude.max()), 1e-6)


def zone_rows(side: str, zone: str) -> tuple[float, float]:
    """First and last row of a third of a lung field."""
    top, base = LUNG_TOP[side] + 8.0, LUNG_BASE[side] - 8.0
    third = (base - top) / 3
    index = {"upper": 0, "middle": 1, "lower": 2}.get(zone)
    return (top, base) if index is None else (top + index * third, top + (index + 1) * third)


@cache
def _places(anatomy: _ById, side: str, zone: str) -> np.ndarray:
    lung = anatomy.value.lung(side)
    first, last = zone_rows(side, zone)
    field = (lung > 45) & (anatomy.value.heart < 12) & (first <= ROWS) & (last >= ROWS)
    inner = cv2.erode(field.astype(np.uint8), np.ones((7, 7), np.uint8))
    return np.flatnonzero(inner if inner.any() else field)


class _ById:
    """An anatomy as a cache key: there is one in a process."""

    def __init__(self, value: Anatomy) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and other.value is self.value


def place(anatomy: Anatomy, side: str, zone: str, rng: np.random.Generator) -> tuple[float, float]:
    """A random (row, column) inside the aerated field of one lung, beside the heart."""
    places = _places(_ById(anatomy), side, zone)
    row, column = divmod(int(places[rng.integers(len(places))]), WIDTH)
    return float(row), float(column)


def nearest_place(anatomy: Anatomy, side: str, row: float, column: float) -> tuple[float, float]:
    """The (row, column) of the aerated field of one lung that lies nearest to a point."""
    rows, columns = np.divmod(_places(_ById(anatomy), side, ""), WIDTH)
    best = int(np.argmin((rows - row) ** 2 + (columns - column) ** 2))
    return float(rows[best]), float(columns[best])


@cache
def _depths(anatomy: _ById, side: str) -> np.ndarray:
    lung = (anatomy.value.lung(side) > 12).astype(np.uint8)
    half = MEDIAL[side] < COLUMNS if side == "right" else MEDIAL[side] > COLUMNS
    open_ended = lung | (half & (LUNG_TOP[side] + 6 < ROWS)) | (LUNG_BASE[side] - 12 < ROWS)
    return cv2.distanceTransform(open_ended.astype(np.uint8), cv2.DIST_L2, 5) * (lung > 0)


def depth(anatomy: Anatomy, side: str) -> np.ndarray:
    """Distance of a lung's points from its outer wall and apex, pixels; 0 outside the lung."""
    return _depths(_ById(anatomy), side)

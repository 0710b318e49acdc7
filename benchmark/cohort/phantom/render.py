"""One image: the patient's own anatomy, the findings, one warp, one detector.

The findings' regions go through the same warp as the integral, so a box is the extent of what was
drawn, exactly. The patient's anatomy has a generator of its own: two studies of a patient share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from benchmark.cohort.phantom.acquisition import Style, detect, frame
from benchmark.cohort.phantom.anatomy import WATER, Anatomy
from benchmark.cohort.phantom.canvas import ROWS, Warp, gaussian
from benchmark.cohort.phantom.findings import devices as draw_devices
from benchmark.cohort.phantom.findings.air import stretched_lungs
from benchmark.cohort.phantom.findings.drawing import DRAW, to_draw
from benchmark.cohort.phantom.findings.finding import Finding, with_jitter
from benchmark.cohort.phantom.findings.mediastinum import heart_widened

COARSE = 28
"""Nodes per side of the grid on which displacements are evaluated; they are smooth."""
CENTRE = (97.0, 129.0)
"""(row, column) of the canvas in the middle of an image."""


@dataclass(frozen=True)
class Drawn:
    """A finding as it lies in the image."""

    finding: Finding
    region: np.ndarray
    """bool (height, width)."""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x_min, y_min, x_max, y_max in pixels, half open."""
        columns, rows = np.flatnonzero(self.region.any(0)), np.flatnonzero(self.region.any(1))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@dataclass(frozen=True)
class Radiograph:
    """A rendered radiograph."""

    grey: np.ndarray
    """float32 (height, width) in [0, 1], bright = dense (MONOCHROME2)."""
    view: str
    """``PA`` or ``AP``."""
    drawn: tuple[Drawn, ...]
    """Findings with a place, at least ``MIN_PIXELS`` of it in the image."""


MIN_PIXELS = 3


@dataclass(frozen=True)
class Build:
    """A patient's own anatomy."""

    heart: float
    """Displacement of the heart's left border, canvas pixels."""
    bone: float
    vessels: float
    fat: float
    """Tissue before and behind the chest, mm."""
    breast: float
    """Depth of the breasts, mm; 0 for none."""
    bends: np.ndarray
    """Displacement of a coarse grid, canvas pixels, (2, 5, 5)."""
    width: float
    """Breadth of the chest, 1 = the CT's."""

    @classmethod
    def of(cls, rng: np.random.Generator, female: bool) -> Build:
        """Draw a patient."""
        return cls(
            heart=float(np.clip(rng.normal(0, 3), -7, 6)),
            bone=float(np.clip(rng.normal(1.1, 0.18), 0.7, 1.6)),
            vessels=float(rng.normal(0.1, 0.2)),
            fat=float(np.clip(rng.gamma(2.0, 9.0), 0, 60)),
            breast=float(rng.uniform(8, 34)) if female else 0.0,
            bends=rng.normal(0, 3.2, (2, 5, 5)).astype(np.float32),
            width=float(np.clip(rng.normal(1.0, 0.045), 0.9, 1.1)),
        )


def _base(anatomy: Anatomy, build: Build, portable: bool, rng: np.random.Generator) -> np.ndarray:
    """The attenuation integral of a patient without findings."""
    integral = anatomy.soft + build.bone * anatomy.bone + build.vessels * anatomy.vessels
    body = np.minimum(anatomy.soft, 1.0)
    integral += WATER * build.fat * body * (0.6 + 0.4 * np.clip(ROWS / 236, 0, 1))
    if build.breast:
        for column in (78, 186):
            integral += WATER * build.breast * gaussian(126, column, 19, 23)
    if rng.random() < 0.6:  # gas in the stomach
        integral -= WATER * rng.uniform(10, 45) * gaussian(168 + rng.normal(0, 5), 176 + rng.normal(0, 5), 7, 13)
    if rng.random() < 0.15:
        nipples = draw_devices.nipple_shadow(anatomy, Finding("nipple_shadow"), rng).integral
        integral += nipples if nipples is not None else 0
    if rng.random() < (0.35 if portable else 0.04):
        leads = draw_devices.monitoring_leads(anatomy, Finding("monitoring_leads"), rng).integral
        integral += leads if leads is not None else 0
    return integral


def _map(
    shape: tuple[int, int], build: Build, style: Style, warps: Sequence[Warp], portable: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel the (column, row) of the canvas that it shows, float32 (height, width) each."""
    height, width = shape
    span = 230 * rng.uniform(*style.zoom)
    scale = span / max(height, width)
    angle = np.deg2rad(rng.normal(0, style.rotation))
    y = (np.linspace(0, height - 1, COARSE, dtype=np.float32) - (height - 1) / 2) * scale
    x = (np.linspace(0, width - 1, COARSE, dtype=np.float32) - (width - 1) / 2) * scale / build.width
    y, x = np.meshgrid(y, x, indexing="ij")
    # The CT ends at the collar bones: an image may not look above it.
    middle = max(CENTRE[0] + rng.normal(0, 5), height * scale / 2 - 3)
    rows = middle + np.cos(angle) * y - np.sin(angle) * x
    columns = CENTRE[1] + rng.normal(0, 5) + np.sin(angle) * y + np.cos(angle) * x
    breath = stretched_lungs(float(rng.normal(-6 if portable else 1, 4)))
    down, across = cv2.resize(build.bends[0], (COARSE, COARSE)), cv2.resize(build.bends[1], (COARSE, COARSE))
    heart = heart_widened(build.heart + (4.0 if portable else 0.0))
    for warp in (*warps, breath, heart):
        shift = warp(rows, columns)
        down, across = down + shift[0], across + shift[1]
    full = (width, height)
    return (
        cv2.resize((columns + across).astype(np.float32), full, interpolation=cv2.INTER_LINEAR),
        cv2.resize((rows + down).astype(np.float32), full, interpolation=cv2.INTER_LINEAR),
    )


def shape_of(style: Style, size: int, rng: np.random.Generator) -> tuple[int, int]:
    """(height, width) with the longer side ``size``."""
    aspect = rng.uniform(*style.aspect)
    return (size, round(size / aspect)) if aspect >= 1 else (round(size * aspect), size)


def render(
    anatomy: Anatomy, build: Build, findings: Sequence[Finding], style: Style, size: int, rng: np.random.Generator
) -> Radiograph:
    """Draw one radiograph.

    Args:
        anatomy: line integrals of the CT.
        build: the patient.
        findings: what to draw; sides that a tag leaves open are drawn at random.
        style: the dataset's acquisition.
        size: longer side of the image, pixels.
        rng: the image's generator; the same state gives the same image, byte for byte.
    """
    shape = shape_of(style, size, rng)
    portable = bool(rng.random() < style.portable)
    integral = _base(anatomy, build, portable, rng)
    drawings = []
    for finding in findings:
        for single in to_draw(with_jitter(finding, rng), rng):
            drawing = DRAW[single.kind](anatomy, single, rng)
            drawings.append((single, drawing))
            if drawing.integral is not None:
                integral += drawing.integral
    warps = [drawing.warp for _, drawing in drawings if drawing.warp is not None]
    columns, rows = _map(shape, build, style, warps, portable, rng)
    seen = cv2.remap(np.maximum(integral, 0), columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    grey = frame(detect(seen, style, rng), style, portable, rng)
    drawn = []
    for single, drawing in drawings:
        if drawing.region is None:
            continue
        region = cv2.remap(drawing.region.astype(np.uint8), columns, rows, cv2.INTER_LINEAR).astype(bool)
        if int(region.sum()) >= MIN_PIXELS:
            drawn.append(Drawn(single, region))
    return Radiograph(grey, "AP" if portable else "PA", tuple(drawn))

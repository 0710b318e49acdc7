"""One image: the patient's own anatomy, the findings, one warp, one detector.

The findings' regions go through the same warp as the integral, so a box is the extent of what was
drawn, exactly. The patient's anatomy has a generator of its own: two studies of a patient share it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from benchmark.cohort.phantom.acquisition import Style, detect, frame
from benchmark.cohort.phantom.anatomy import WATER, Anatomy
from benchmark.cohort.phantom.canvas import LUNG, ROWS, Warp, gaussian, smooth_noise
from benchmark.cohort.phantom.findings import boxed
from benchmark.cohort.phantom.findings import devices as draw_devices
from benchmark.cohort.phantom.findings.air import stretched_lungs
from benchmark.cohort.phantom.findings.drawing import DRAW, to_draw
from benchmark.cohort.phantom.findings.finding import Finding, Place, with_jitter
from benchmark.cohort.phantom.findings.mediastinum import aorta_widened, heart_widened

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
    """Displacement of the heart's left border, canvas pixels: within what passes for normal."""
    aorta: float
    """The same of the aortic knob, which widens with age."""
    bone: float
    vessels: float
    air: float
    """Air in the lungs beyond the CT's, as a share of the lung's attenuation; negative = less."""
    fat: float
    """Tissue before and behind the chest, mm."""
    breast: float
    """Depth of the breasts, mm; 0 for none."""
    muscle: float
    """Unevenness of the chest wall, mm."""
    bends: np.ndarray
    """Displacement of a coarse grid, canvas pixels, (2, 5, 5)."""
    width: float
    """Breadth of the chest, 1 = the CT's."""

    @classmethod
    def of(cls, rng: np.random.Generator, female: bool, age: int = 55) -> Build:
        """Draw a patient; bones lose mineral with age."""
        return cls(
            heart=float(np.clip(rng.normal(0, 6), -11, 10)),
            aorta=float(np.clip(rng.normal(0.06 * (age - 55), 3.5), -6, 6)),
            bone=float(np.clip(rng.normal(1.1 - 0.004 * (age - 55), 0.2), 0.6, 1.7)),
            vessels=float(np.clip(rng.normal(0.15, 0.35), -0.5, 1.0)),
            air=float(np.clip(rng.normal(0, 0.28), -0.6, 0.6)),
            fat=float(np.clip(rng.gamma(2.0, 14.0), 0, 90)),
            breast=float(rng.uniform(6, 44)) if female else 0.0,
            muscle=float(rng.uniform(4, 14)),
            bends=rng.normal(0, 4.3, (2, 5, 5)).astype(np.float32),
            width=float(np.clip(rng.normal(1.0, 0.07), 0.85, 1.15)),
        )


@dataclass(frozen=True)
class Framing:
    """Which part of the canvas an image shows, before anything is bent."""

    shape: tuple[int, int]
    """(height, width) of the image, pixels."""
    scale: float
    """Canvas pixels per image pixel."""
    angle: float
    """Radians."""
    middle: tuple[float, float]
    """(row, column) of the canvas at the image's centre."""
    width: float
    """Breadth of the chest, 1 = the CT's."""

    @classmethod
    def of(
        cls, shape: tuple[int, int], build: Build, style: Style, portable: bool, rng: np.random.Generator
    ) -> Framing:
        """Draw how the patient stands before the detector; in bed the tube is nearer and enlarges more."""
        height, width = shape
        span = 230 * rng.uniform(*style.zoom) * (0.97 if portable else 1.0)
        scale = span / max(height, width)
        # The CT ends at the collar bones: an image may not look above it.
        row = max(CENTRE[0] + rng.normal(0, 8), height * scale / 2 - 3)
        angle = np.deg2rad(rng.normal(0, style.rotation))
        return cls(shape, scale, float(angle), (float(row), CENTRE[1] + float(rng.normal(0, 8))), build.width)

    def on_canvas(self, y: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(rows, columns) of the canvas at pixels (y, x) of the image."""
        height, width = self.shape
        y, x = (y - (height - 1) / 2) * self.scale, (x - (width - 1) / 2) * self.scale / self.width
        c, s = np.cos(self.angle), np.sin(self.angle)
        return self.middle[0] + c * y - s * x, self.middle[1] + s * y + c * x

    def place(self, box: tuple[float, float, float, float]) -> Place:
        """The place on the canvas of a box in shares of the image."""
        height, width = self.shape
        x_min, y_min, x_max, y_max = box
        row, column = self.on_canvas(np.array((y_min + y_max) / 2 * height), np.array((x_min + x_max) / 2 * width))
        half_height = (y_max - y_min) / 2 * height * self.scale
        return Place(float(row), float(column), half_height, (x_max - x_min) / 2 * width * self.scale / self.width)


def _base(anatomy: Anatomy, build: Build, turn: float, portable: bool, rng: np.random.Generator) -> np.ndarray:
    """The attenuation integral of a patient without findings."""
    integral = anatomy.soft + build.bone * anatomy.bone + build.vessels * anatomy.vessels
    body = np.minimum(anatomy.soft, 1.0)
    integral += WATER * build.fat * body * (0.6 + 0.4 * np.clip(ROWS / 236, 0, 1))
    integral += WATER * build.muscle * body * smooth_noise(rng, 55)
    # How deeply the patient breathed in, and which side is turned toward the detector, shows in the lungs' blackness.
    air = build.air + (0.0 if portable else 0.06) + 0.14 * rng.standard_normal()
    integral -= LUNG * ((air + 0.12 * turn) * anatomy.right_lung + (air - 0.12 * turn) * anatomy.left_lung)
    if build.breast:
        low, apart = rng.uniform(118, 138), rng.uniform(48, 60)
        for column in (128 - apart, 128 + apart):
            integral += WATER * build.breast * gaussian(low + rng.normal(0, 3), column, 19, 23)
    for sign in (-1, 1):  # shoulder blades that were not drawn aside
        if rng.random() < (0.7 if portable else 0.3):
            blade = gaussian(62 + rng.normal(0, 8), 128 + sign * rng.uniform(66, 84), 34, 9, sign * 0.25)
            integral += WATER * rng.uniform(5, 16) * blade
    if rng.random() < 0.6:  # gas in the stomach
        integral -= WATER * rng.uniform(10, 45) * gaussian(168 + rng.normal(0, 5), 176 + rng.normal(0, 5), 7, 13)
    if rng.random() < 0.15:
        nipples = draw_devices.nipple_shadow(anatomy, Finding("nipple_shadow"), rng).integral
        integral += nipples if nipples is not None else 0
    if rng.random() < (0.35 if portable else 0.04):
        leads = draw_devices.monitoring_leads(anatomy, Finding("monitoring_leads"), rng).integral
        integral += leads if leads is not None else 0
    return integral


def turned(amount: float) -> Warp:
    """The patient turned about the long axis: what lies in front moves sideways against the spine; canvas pixels."""

    def warp(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        near = np.exp(-(((columns - 136) / 42) ** 2)) * np.exp(-np.clip(rows - 150, 0, None) / 30)
        return np.zeros_like(rows), (amount * near).astype(np.float32)

    return warp


def _map(
    framing: Framing, build: Build, warps: Sequence[Warp], turn: float, portable: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """For each pixel the (column, row) of the canvas that it shows, float32 (height, width) each."""
    height, width = framing.shape
    y, x = np.meshgrid(
        np.linspace(0, height - 1, COARSE, dtype=np.float32),
        np.linspace(0, width - 1, COARSE, dtype=np.float32),
        indexing="ij",
    )
    rows, columns = framing.on_canvas(y, x)
    breath = stretched_lungs(float(np.clip(rng.normal(-6 if portable else 1, 6.5), -18, 12)))
    down, across = cv2.resize(build.bends[0], (COARSE, COARSE)), cv2.resize(build.bends[1], (COARSE, COARSE))
    heart = heart_widened(build.heart + (4.0 if portable else 0.0))
    for warp in (*warps, breath, heart, aorta_widened(build.aorta), turned(5.5 * turn)):
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
    anatomy: Anatomy,
    build: Build,
    findings: Sequence[Finding],
    style: Style,
    size: int,
    rng: np.random.Generator,
    view: Literal["PA", "AP", ""] = "",
) -> Radiograph:
    """Draw one radiograph.

    Args:
        anatomy: line integrals of the CT.
        build: the patient.
        findings: what to draw; sides that are left open are drawn at random.
        style: the dataset's acquisition.
        size: longer side of the image, pixels.
        rng: the image's generator; the same state gives the same image, byte for byte.
        view: how it is taken; where empty, the style's share of AP decides.
    """
    shape = shape_of(style, size, rng)
    portable = bool(rng.random() < style.portable) if not view else view == "AP"
    turn = float(rng.normal(0, 1.3 if portable else 1.0))
    framing = Framing.of(shape, build, style, portable, rng)
    integral = _base(anatomy, build, turn, portable, rng)
    # Findings have a generator of their own: the same patient without them is framed and exposed alike.
    brush = np.random.default_rng(rng.integers(2**63))
    drawings = []
    for finding in findings:
        for single in to_draw(with_jitter(finding, brush), brush):
            if single.box is not None:
                single = replace(single, at=framing.place(single.box))
            drawing = (boxed.DRAW if single.at is not None else DRAW)[single.kind](anatomy, single, brush)
            drawings.append((single, drawing))
            if drawing.integral is not None:
                integral += drawing.integral
    warps = [drawing.warp for _, drawing in drawings if drawing.warp is not None]
    columns, rows = _map(framing, build, warps, turn, portable, rng)
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

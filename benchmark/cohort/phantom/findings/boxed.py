"""Findings drawn inside a given box: where a reader of the release boxed one on a real radiograph.

The heart and the aorta lie where they lie: of their boxes the breadth counts. A finding of the lung whose box lies
beside the phantom's lung moves to the nearest place in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from benchmark.cohort.phantom.anatomy import PIXEL, WATER, Anatomy
from benchmark.cohort.phantom.canvas import (
    COLUMNS,
    LUNG,
    LUNG_BASE,
    ROWS,
    TISSUE_FOR_LUNG,
    Drawing,
    aerated,
    depth,
    line,
    nearest_place,
    outward,
    smooth_noise,
    step,
)
from benchmark.cohort.phantom.findings import lung as draw_lung
from benchmark.cohort.phantom.findings import mediastinum as draw_mediastinum
from benchmark.cohort.phantom.findings.finding import Finding, Place

LEAST = 3.0
"""Half the side of the smallest box that is drawn, canvas pixels: about 8 mm, two pixels of an image of 160."""
FILLED = 0.35
"""A box that holds less lung than this share of it moves into the lung."""
HEART = (68.0, 116.0)
"""Breadth of the boxed heart, canvas pixels, that is drawn with severity 0 and 1."""
AORTA = (22.0, 40.0)
MIDLINE = 128


def _at(finding: Finding) -> Place:
    """The finding's place, not below the smallest size."""
    assert finding.at is not None  # render gives every finding of this module one
    at = finding.at
    return replace(at, half_height=max(at.half_height, LEAST), half_width=max(at.half_width, LEAST))


def _side(at: Place) -> str:
    """The patient's side."""
    return "right" if at.column < MIDLINE else "left"


def _distance(at: Place, power: float = 2.5) -> np.ndarray:
    """1 on the outline of an ellipse (or, with a greater power, a rounded box) that fills the place; less inside."""
    return (np.abs(ROWS - at.row) / at.half_height) ** power + (np.abs(COLUMNS - at.column) / at.half_width) ** power


def _lungs(anatomy: Anatomy) -> np.ndarray:
    """Thickness of both lungs where the diaphragm does not hide them, mm."""
    return anatomy.right_lung * aerated("right") + anatomy.left_lung * aerated("left")


def _in_lung(anatomy: Anatomy, at: Place) -> Place:
    """The place, or the nearest one in the lung where it holds too little of it."""
    inside = _distance(at) < 1
    if inside.any() and (_lungs(anatomy)[inside] > 20).mean() >= FILLED:
        return at
    row, column = nearest_place(anatomy, _side(at), at.row, at.column)
    return replace(at, row=row, column=column)


def _cloud(at: Place, rng: np.random.Generator) -> np.ndarray:
    """1 inside the place, 0 outside, with an uneven soft edge."""
    return step((1 - _distance(at) * (1 + 0.15 * smooth_noise(rng, 9))) * 5)


def _tissue(amount: tuple[float, float], grain: float) -> Callable[[Anatomy, Finding, np.random.Generator], Drawing]:
    """A brush that fills the place with fluid: share of the air replaced at severity 0 and 1, unevenness."""

    def draw(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
        at = _in_lung(anatomy, _at(finding))
        cloud, lungs = _cloud(at, rng), _lungs(anatomy)
        texture = np.clip(1 + grain * smooth_noise(rng, 8) + grain * smooth_noise(rng, 4), 0.2, 2.2)
        # What is small must be denser to be seen at all.
        small = 1 + 0.8 * np.exp(-min(at.half_height, at.half_width) / 8)
        integral = TISSUE_FOR_LUNG * small * np.interp(finding.severity, (0, 1), amount) * lungs * cloud * texture
        return Drawing(integral.astype(np.float32), (cloud > 0.5) & (lungs > 20))

    return draw


def _net(amount: tuple[float, float]) -> Callable[[Anatomy, Finding, np.random.Generator], Drawing]:
    """A brush that fills the place with fine lines and some haze."""

    def draw(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
        at = _in_lung(anatomy, _at(finding))
        cloud, lungs = _cloud(at, rng), _lungs(anatomy)
        field = cloud * np.minimum(lungs / 50, 1)
        integral = np.interp(finding.severity, (0, 1), amount) * field * (draw_lung.reticulum(rng) + 0.3)
        return Drawing(integral.astype(np.float32), (cloud > 0.5) & (lungs > 10))

    return draw


def atelectasis(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A plate across the place, in haze."""
    haze = _tissue((0.2, 0.5), 0.15)(anatomy, finding, rng)
    at = _in_lung(anatomy, _at(finding))
    slope = rng.uniform(-0.5, 0.5) * at.half_height
    ends = [(at.row - slope, at.column - 0.9 * at.half_width), (at.row + slope, at.column + 0.9 * at.half_width)]
    plate = 0.6 * line(ends, 2.5, 1.0) * np.minimum(_lungs(anatomy) / 50, 1)
    assert haze.integral is not None
    return Drawing((haze.integral + plate).astype(np.float32), haze.region)


def nodule(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """An ellipsoid of soft tissue."""
    at = _in_lung(anatomy, _at(finding))
    thick = 2 * PIXEL * min(at.half_height, at.half_width) * np.sqrt(np.maximum(1 - _distance(at, 2.0), 0))
    small = np.interp(at.half_height, (LEAST, 12), (1.7, 1.1))
    integral = small * TISSUE_FOR_LUNG * cv2.GaussianBlur(thick.astype(np.float32), (0, 0), 0.7)
    return Drawing(integral, thick > 1)


def cavity(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A thick wall about air."""
    at = _in_lung(anatomy, _at(finding))
    radius = np.sqrt(_distance(at, 2.0))
    shell = step((1 - radius) * 12) * step((radius - 0.6) * 12)
    integral = TISSUE_FOR_LUNG * np.interp(finding.severity, (0, 1), (22, 45)) * shell
    return Drawing(integral.astype(np.float32), radius < 1)


def calcification(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A bright arc round the place, as calcium in the wall of a vessel; small ones are spots."""
    at = _at(finding)
    if max(at.half_height, at.half_width) < 6:
        spot = np.sqrt(np.maximum(1 - _distance(at, 2.0), 0))
        drawn = cv2.GaussianBlur(spot.astype(np.float32), (0, 0), 0.5)
        return Drawing(np.float32(np.interp(finding.severity, (0, 1), (0.6, 1.1))) * drawn, spot > 0.1)
    angles = rng.uniform(0, 2 * np.pi) + np.linspace(0, 1.3 * np.pi, 20)
    arc = [
        (at.row + (at.half_height - 1) * float(np.sin(t)), at.column + (at.half_width - 1) * float(np.cos(t)))
        for t in angles
    ]
    drawn = line(arc, 2.2, 0.7)
    return Drawing((np.interp(finding.severity, (0, 1), (0.4, 0.8)) * drawn).astype(np.float32), drawn > 0.3)


def effusion(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Fluid that fills the place, higher along the outer wall."""
    at, side = _at(finding), _side(_at(finding))
    bottom = min(at.row + at.half_height, LUNG_BASE[side] + 2.0)
    top = min(at.row - at.half_height, bottom - 2 * LEAST)
    across = np.clip(outward(side), 0, 1)
    level = top + 0.45 * (bottom - top) * (1 - across)
    within = step((at.half_width + 1 - np.abs(COLUMNS - at.column)) / 1.2)
    filled = step((ROWS - level) / 1.2) * within * step((LUNG_BASE[side] + 12 - ROWS) / 3)
    lung = np.minimum(anatomy.lung(side), 110)
    wall = 18 * np.exp(-((across - 1) ** 2) / 0.02) * (LUNG_BASE[side] + 6 > ROWS) * (lung > 0)
    integral = TISSUE_FOR_LUNG * np.interp(finding.severity, (0, 1), (0.6, 0.9)) * (lung + wall) * filled
    return Drawing(integral.astype(np.float32), (filled > 0.5) & (lung > 8) & (aerated(side) > 0.5))


def pleural_thickening(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A layer of tissue along the wall within the place."""
    at = _at(finding)
    wall = depth(anatomy, _side(at))
    inside = step((1 - _distance(at, 4.0)) * 5)
    within = (inside > 0.5) & (wall > 0)
    if within.sum() < 20:  # beside the lung
        row, column = nearest_place(anatomy, _side(at), at.row, at.column)
        at = replace(at, row=row, column=column)
        inside = step((1 - _distance(at, 4.0)) * 5)
        within = (inside > 0.5) & (wall > 0)
    nearest = float(wall[within].min()) if within.any() else 0.0
    thick = max(4.0, 0.9 * min(at.half_height, at.half_width))
    band = step((nearest + thick * (1 + 0.25 * smooth_noise(rng, 12)) - wall) / 0.8) * (wall > 0) * inside
    integral = WATER * np.interp(finding.severity, (0, 1), (32, 56)) * band
    return Drawing(integral.astype(np.float32), band > 0.4)


def pneumothorax(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Air along the wall within the place, bounded by a fine pleural line."""
    at, side = _at(finding), _side(_at(finding))
    wall, lung = depth(anatomy, side), anatomy.lung(side)
    inside = step((1 - _distance(at, 6.0)) * 5) * step((LUNG_BASE[side] - ROWS) / 6)
    within = (inside > 0.5) & (wall > 0)
    width = (float(wall[within].min()) if within.any() else 0.0) + max(6.0, 1.1 * at.half_width)
    air = step((width - wall) / 0.8) * (wall > 0) * inside
    edge = np.exp(-(((wall - width) / 1.1) ** 2)) * (wall > 0) * inside
    emptied = -(0.85 * LUNG * lung + anatomy.vessels) * air
    return Drawing((emptied + 0.16 * edge).astype(np.float32), air > 0.5)


def cardiomegaly(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """The heart, as wide as its box was."""
    return draw_mediastinum.cardiomegaly(anatomy, _as_wide_as(finding, HEART), rng)


def aorta_enlarged(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """The aortic knob, as wide as its box was."""
    return draw_mediastinum.aorta_enlarged(anatomy, _as_wide_as(finding, AORTA), rng)


def _as_wide_as(finding: Finding, breadths: tuple[float, float]) -> Finding:
    return replace(finding, severity=float(np.interp(2 * _at(finding).half_width, breadths, (0.05, 1))))


DRAW: dict[str, Callable[[Anatomy, Finding, np.random.Generator], Drawing]] = {
    "aorta_enlarged": aorta_enlarged,
    "atelectasis": atelectasis,
    "cardiomegaly": cardiomegaly,
    "cavity": cavity,
    "consolidation": _tissue((0.32, 0.62), 0.14),
    "effusion": effusion,
    "fibrosis": _net((0.25, 0.45)),
    "granuloma": calcification,
    "infiltrate": _tissue((0.25, 0.5), 0.35),
    "interstitial": _net((0.24, 0.42)),
    "nodule": nodule,
    "opacity": _tissue((0.26, 0.5), 0.14),
    "pleural_thickening": pleural_thickening,
    "pneumothorax": pneumothorax,
}
"""Kind -> brush that draws it inside ``Finding.at``."""

"""Findings of the pleural space and the diaphragm: fluid, air, thickening, a raised dome, a hernia."""

from __future__ import annotations

import numpy as np

from benchmark.cohort.phantom.anatomy import PIXEL, WATER, Anatomy
from benchmark.cohort.phantom.canvas import (
    COLUMNS,
    LATERAL,
    LUNG,
    LUNG_BASE,
    MEDIAL,
    ROWS,
    TISSUE_FOR_LUNG,
    Drawing,
    aerated,
    depth,
    gaussian,
    outward,
    smooth_noise,
    sphere,
    step,
    visible,
    zone_rows,
)
from benchmark.cohort.phantom.findings.finding import Finding


def _fluid(anatomy: Anatomy, side: str, height: float, rng: np.random.Generator) -> Drawing:
    """Fluid that stands ``height`` pixels above the costophrenic angle, higher along the outer wall (meniscus)."""
    across = np.clip(outward(side), -0.2, 1.2)
    meniscus = 0.45 + 0.55 * np.clip(across, 0, 1) ** 2.2
    level = LUNG_BASE[side] - height * meniscus + rng.normal(0, 1)
    filled = step((ROWS - level) / 1.3)
    # The mean depth of a pleural layer is part of the chest's depth; at the outer wall it is nearly all of it.
    lung = np.minimum(anatomy.lung(side), 110)
    wall = 18 * np.exp(-((across - 1) ** 2) / 0.02) * (LUNG_BASE[side] + 6 > ROWS) * (ROWS > 40)
    thickness = (lung + wall * (lung > 0)) * filled * np.interp(height, (8, 60), (0.75, 0.9))
    below = step((LUNG_BASE[side] + 14 - ROWS) / 3)
    # Fluid behind the dome of the diaphragm is there, but nobody sees it.
    seen = (filled > 0.5) & (lung > 8) & (aerated(side) > 0.5)
    return Drawing((TISSUE_FOR_LUNG * thickness * below).astype(np.float32), seen)


def effusion(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Pleural effusion with a meniscus."""
    return _fluid(anatomy, finding.side, float(np.interp(finding.severity, (0, 0.5, 1), (14, 38, 95))), rng)


def blunted_angle(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """So little fluid that only the costophrenic angle is blunt."""
    drawing = _fluid(anatomy, finding.side, float(np.interp(finding.severity, (0, 1), (20, 34))), rng)
    assert drawing.integral is not None
    outer = step((outward(finding.side) - 0.45) / 0.06)
    integral = drawing.integral * outer
    return Drawing(integral, visible(integral, 0.2) & (aerated(finding.side) > 0.5))


def pneumothorax(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Air at the apex and, where there is more of it, down the outer wall; a fine pleural line; the lung denser."""
    side = finding.side
    wall = depth(anatomy, side)
    top = 1 - np.clip((ROWS - 20) / 140, 0, 1)
    base = np.interp(finding.severity, (0, 0.5, 1), (-1.3, -1.0, 0.5))
    shape = np.maximum(base + (1.25 - base) * top, -0.2)
    width = np.interp(finding.severity, (0, 1), (9, 34)) * shape * rng.uniform(0.9, 1.1)
    air = step((width - wall) / 0.8) * (wall > 0) * step((LUNG_BASE[side] - ROWS) / 6)
    edge = np.exp(-(((wall - width) / 1.1) ** 2)) * (wall > 0) * step((LUNG_BASE[side] - ROWS) / 6)
    lung = anatomy.lung(side)
    emptied = -(0.85 * LUNG * lung + anatomy.vessels) * air
    denser = np.interp(finding.severity, (0, 1), (0.1, 0.5)) * LUNG * lung * (wall > 0) * (1 - air)
    return Drawing((emptied + denser + 0.16 * edge).astype(np.float32), air > 0.5)


def hydropneumothorax(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Air above a straight fluid level."""
    air = pneumothorax(anatomy, finding, rng)
    level = LUNG_BASE[finding.side] - np.interp(finding.severity, (0, 1), (22, 60))
    fluid = TISSUE_FOR_LUNG * anatomy.lung(finding.side) * step((ROWS - level) / 0.7)
    assert air.integral is not None
    assert air.region is not None
    return Drawing((air.integral * step((level - ROWS) / 2) + fluid).astype(np.float32), air.region | (fluid > 0.4))


def pleural_thickening(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A patch of tissue between lung and chest wall, at the apex unless the tag says elsewhere."""
    side = finding.side
    wall = depth(anatomy, side)
    first, last = zone_rows(side, finding.zone or ("upper" if rng.random() < 0.6 else "lower"))
    along = np.argwhere((wall > 0) & (wall < 3) & (first - 8 < ROWS) & (last - 8 > ROWS))
    row, column = along[int(rng.integers(len(along)))]
    reach = np.interp(finding.severity, (0, 1), (11, 26)) * rng.uniform(0.85, 1.15)
    band = step((np.interp(finding.severity, (0, 1), (5, 11)) * (1 + 0.3 * smooth_noise(rng, 14)) - wall) / 0.7)
    band = band * (wall > 0) * step((reach - np.hypot(ROWS - row, COLUMNS - column)) / 3)
    integral = WATER * np.interp(finding.severity, (0, 1), (36, 60)) * band
    return Drawing(integral.astype(np.float32), band > 0.4)


def pleural_calcification(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Calcified plaques along the wall."""
    wall = depth(anatomy, finding.side)
    plaque = step((smooth_noise(rng, 10) - 0.4) * 6) * np.exp(-(((wall - 4) / 2.5) ** 2)) * (wall > 0)
    integral = 1.1 * plaque * (ROWS > 60) * step((LUNG_BASE[finding.side] - ROWS) / 4)
    return Drawing(integral.astype(np.float32), visible(integral))


def diaphragm_elevated(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """One dome stands higher."""
    side = finding.side
    middle = MEDIAL[side] + 0.5 * (LATERAL[side] - MEDIAL[side])
    amount = np.interp(finding.severity, (0, 1), (17, 38)) * rng.uniform(0.9, 1.1)

    def warp(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        near = np.exp(-(((columns - middle) / 30) ** 2)) * np.exp(-(((rows - 135 + amount) / 45) ** 2))
        return (amount * near).astype(np.float32), np.zeros_like(columns)

    # The region is stated on the canvas, that is before the warp lifts it.
    return Drawing(None, gaussian(LUNG_BASE[side] - 20, middle, 12, 24) > 0.4, warp)


def pneumoperitoneum(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A crescent of gas between the right dome and the liver."""
    distance = np.hypot((ROWS - 165) / 1.05, COLUMNS - 84)
    crescent = step((38 - distance) / 1.2) * step((distance - 31) / 1.5) * step((150 - ROWS) / 3)
    integral = -WATER * np.interp(finding.severity, (0, 1), (28, 60)) * crescent
    return Drawing(integral.astype(np.float32), crescent > 0.4)


def hernia(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Hiatal hernia: a round mass behind the heart, gas above a fluid level in it."""
    radius = np.interp(finding.severity, (0, 1), (26, 46))
    row, column = 138 - radius / PIXEL * 0.45, 138 + rng.normal(0, 4)
    ball = sphere(row, column, radius)
    fluid = step((ROWS - row + rng.uniform(-2, 5)) / 0.9)
    inner = sphere(row, column, radius * 0.85)
    integral = 0.85 * TISSUE_FOR_LUNG * ball - 1.15 * WATER * inner * (1 - fluid) * 0.8
    return Drawing(integral.astype(np.float32), ball > 4)

"""How much air the lungs hold: low volumes, hyperinflation, emphysema and bullae, a mediastinum drawn to one side."""

from __future__ import annotations

import numpy as np

from benchmark.cohort.phantom.anatomy import Anatomy
from benchmark.cohort.phantom.canvas import (
    COLUMNS,
    LUNG,
    ROWS,
    TISSUE_FOR_LUNG,
    Drawing,
    Warp,
    place,
    smooth_noise,
    step,
)
from benchmark.cohort.phantom.findings.finding import Finding


def stretched_lungs(amount: float) -> Warp:
    """Move both domes of the diaphragm down by ``amount`` pixels (up where negative); the apices stay."""

    def warp(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        reach = np.clip((rows - 25) / 115, 0, 1) * np.exp(-np.clip(rows - 150, 0, None) / 60)
        return (-amount * reach).astype(np.float32), np.zeros_like(columns)

    return warp


def low_volume(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Shallow inspiration: high diaphragm, crowded vessels, denser lungs."""
    lungs = anatomy.right_lung + anatomy.left_lung
    integral = (0.6 + finding.severity) * (0.35 * LUNG * lungs * step((ROWS - 95) / 15) + 0.6 * anatomy.vessels)
    return Drawing(integral, None, stretched_lungs(-np.interp(finding.severity, (0, 1), (15, 34))))


def hyperinflation(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Long, dark lungs over a flat diaphragm."""
    lungs = anatomy.right_lung + anatomy.left_lung
    amount = np.interp(finding.severity, (0, 1), (12, 28)) * rng.uniform(0.9, 1.1)
    integral = -np.interp(finding.severity, (0, 1), (0.12, 0.3)) * LUNG * lungs
    flat = stretched_lungs(amount)

    def warp(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        down, across = flat(rows, columns)
        domes = np.exp(-(((columns - 80) / 22) ** 2)) + np.exp(-(((columns - 172) / 20) ** 2))
        down = down - 0.45 * amount * domes * np.exp(-(((rows - 150) / 28) ** 2))
        return down, across + 0.10 * (columns - 130) * np.exp(-(((rows - 115) / 45) ** 2)) * finding.severity

    return Drawing(integral, None, warp)


def emphysema(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Destroyed lung: patchy lucency, pruned vessels, long lungs."""
    longer = hyperinflation(anatomy, finding, rng)
    lungs = anatomy.right_lung + anatomy.left_lung
    patches = step(1.2 * smooth_noise(rng, 22) + (95 - ROWS) / 40)
    loss = np.interp(finding.severity, (0, 1), (0.3, 0.6))
    integral = -loss * LUNG * lungs * (0.35 + 0.65 * patches) - 0.6 * anatomy.vessels * patches
    upper = (lungs > 40) & (ROWS < 125)
    return Drawing(integral.astype(np.float32), upper, longer.warp)


def bulla(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A round lucency with a hair-line wall."""
    row, column = place(anatomy, finding.side, finding.zone or "upper", rng)
    radius = np.interp(finding.severity, (0, 1), (9, 20))
    distance = np.hypot(ROWS - row, (COLUMNS - column) * 1.15)
    inside = step((radius - distance) * 1.5)
    wall = np.exp(-(((distance - radius) / 1.2) ** 2))
    lung = anatomy.lung(finding.side)
    integral = (-0.75 * LUNG * lung - anatomy.vessels) * inside + 0.14 * wall * (lung > 20)
    return Drawing(integral.astype(np.float32), (distance < radius + 1) & (lung > 20))


def bullous_emphysema(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Emphysema with bullae in one lung."""
    wide, hole = emphysema(anatomy, finding, rng), bulla(anatomy, finding, rng)
    assert wide.integral is not None
    assert hole.integral is not None
    return Drawing(wide.integral + hole.integral, hole.region, wide.warp)


def mediastinal_shift(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """The mediastinum drawn to one side."""
    sign = 1.0 if finding.side == "right" else -1.0
    amount = sign * np.interp(finding.severity, (0, 1), (9, 24))

    def warp(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        near = np.exp(-(((columns - 130) / 55) ** 2)) * np.exp(-np.clip(rows - 150, 0, None) / 30)
        return np.zeros_like(rows), (amount * near).astype(np.float32)

    return Drawing(None, (np.abs(COLUMNS - 128) < 26) & (ROWS > 20) & (ROWS < 130), warp)


def volume_loss(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A lung that is smaller and denser; the mediastinum follows it."""
    lung = anatomy.lung(finding.side)
    texture = np.clip(0.9 + 0.3 * smooth_noise(rng, 14), 0.3, 1.6)
    integral = TISSUE_FOR_LUNG * np.interp(finding.severity, (0, 1), (0.12, 0.5)) * lung * texture
    return Drawing(integral, lung > 30, mediastinal_shift(anatomy, finding, rng).warp)

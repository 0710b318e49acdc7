"""Findings of heart, great vessels and mediastinum."""

from __future__ import annotations

import cv2
import numpy as np

from benchmark.cohort.phantom.anatomy import WATER, Anatomy
from benchmark.cohort.phantom.canvas import (
    COLUMNS,
    HILUM,
    MEDIAL,
    ROWS,
    TISSUE_FOR_LUNG,
    Drawing,
    Warp,
    curve,
    gaussian,
    line,
    smooth_noise,
    sphere,
    step,
)
from benchmark.cohort.phantom.findings.finding import Finding

AORTIC_KNOB = (62.0, 138.0)


def _bump(values: np.ndarray, centre: float, inner: float, outer: float) -> np.ndarray:
    """A Gaussian with different widths below and above its centre."""
    return np.exp(-0.5 * ((values - centre) / np.where(values < centre, inner, outer)) ** 2)


def heart_widened(amount: float) -> Warp:
    """Move the heart's left border outward by ``amount`` pixels, the right one by 0.4 of it; inward where negative.

    The lung between heart and chest wall gives way, so that the silhouette stays a silhouette.
    """

    def warp(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        level = _bump(rows, 126, 24, 18)
        left = _bump(columns, 192 + 0.5 * max(amount, 0), 30, 14) * (columns > 132)
        right = _bump(columns, 100, 14, 16) * (columns < 132)
        return (0.12 * amount * level * left).astype(np.float32), (amount * level * (0.4 * right - left)).astype(
            np.float32
        )

    return warp


def cardiomegaly(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A heart that is too wide, and denser for being deeper."""
    amount = float(np.interp(finding.severity, (0, 0.5, 1), (11, 19, 29)))
    deeper = 0.35 * finding.severity * TISSUE_FOR_LUNG * anatomy.heart
    return Drawing(deeper.astype(np.float32), (anatomy.heart > 9) & (ROWS > 72), heart_widened(amount))


def aorta_widened(amount: float) -> Warp:
    """Move the aortic knob outward by ``amount`` pixels, the vessel beyond it by half; inward where negative."""

    def warp(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        knob = _bump(rows, 64, 13, 16) * _bump(columns, 152, 14, 12)
        descending = 0.5 * _bump(rows, 100, 20, 20) * _bump(columns, 158, 14, 14)
        ascending = 0.5 * _bump(rows, 84, 18, 18) * _bump(columns, 100, 10, 14)
        return np.zeros_like(rows), (amount * (ascending - knob - descending)).astype(np.float32)

    return warp


def aorta_enlarged(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A wide or tortuous aorta: large knob, descending part bulging to the left, ascending part to the right."""
    amount = float(np.interp(finding.severity, (0, 1), (8, 18)) * rng.uniform(0.9, 1.1))
    knob = gaussian(AORTIC_KNOB[0] + 2, AORTIC_KNOB[1] + 1, 12, 10) + 0.6 * gaussian(98, 142, 24, 6)
    integral = TISSUE_FOR_LUNG * np.interp(finding.severity, (0, 1), (16, 42)) * knob
    # What a reader points at is the knob: the vessel beyond it looks as it does in anybody.
    seen = gaussian(AORTIC_KNOB[0] + 2, AORTIC_KNOB[1] + 4, 12, 10) > 0.5
    return Drawing(integral.astype(np.float32), seen, aorta_widened(amount))


def aortic_calcification(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A bright arc in the wall of the aortic knob, sometimes down the descending aorta."""
    row, column = AORTIC_KNOB[0] + rng.normal(0, 2), AORTIC_KNOB[1] + 3 + rng.normal(0, 2)
    angles = np.linspace(-2.2, 0.9, 14)
    radius = rng.uniform(9, 12)
    arc = [(row + radius * float(np.sin(t)), column + radius * float(np.cos(t))) for t in angles]
    drawn = line(arc, 2.0, 0.7)
    if finding.severity > 0.4:
        drawn = np.maximum(drawn, 0.8 * line(curve([arc[-1], (100, column + 11), (128, column + 6)]), 1.6, 0.7))
    integral = np.interp(finding.severity, (0, 1), (0.45, 0.95)) * drawn
    return Drawing(integral.astype(np.float32), drawn > 0.3)


def valve_calcification(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A calcified ring in the heart."""
    angles = np.linspace(0.4, 5.2, 16)
    ring = [(122 + 7 * float(np.sin(t)), 146 + 9 * float(np.cos(t))) for t in angles]
    drawn = line(ring, 2.4, 0.8)
    return Drawing(0.9 * drawn, drawn > 0.3)


def mediastinal_enlargement(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A wide upper mediastinum."""
    half = np.interp(finding.severity, (0, 1), (24, 42))
    inside = step((half - np.abs(COLUMNS - 128 + rng.normal(0, 2))) / 2) * step((ROWS - 18) / 5) * step((92 - ROWS) / 8)
    lungs = np.minimum((anatomy.right_lung + anatomy.left_lung) / 40, 1)
    integral = TISSUE_FOR_LUNG * 55 * inside * lungs
    return Drawing(integral.astype(np.float32), (inside > 0.5) & (ROWS > 15))


def hilar_enlargement(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A lobulated hilum (lymph nodes)."""
    row, column = HILUM[finding.side]
    total = np.zeros_like(ROWS)
    for _ in range(4):
        radius = np.interp(finding.severity, (0, 1), (9, 19)) * rng.uniform(0.8, 1.2)
        total = np.maximum(total, sphere(row + rng.normal(0, 9), column + rng.normal(0, 6), radius))
    return Drawing(TISSUE_FOR_LUNG * 1.2 * cv2.GaussianBlur(total, (0, 0), 1), total > 5)


def pulmonary_artery_enlarged(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Wide pulmonary trunk and hila, tapering into the lung."""
    gain = np.interp(finding.severity, (0, 1), (18, 40))
    total = gain * gaussian(76, 150, 9, 9)
    for row, column, sign in ((92, 94, -1.0), (82, 156, 1.0)):
        total = total + 0.9 * gain * line(
            curve([(row - 14, column - 4 * sign), (row, column), (row + 20, column + 12 * sign)]), 11, 3
        )
    integral = TISSUE_FOR_LUNG * np.interp(finding.severity, (0, 1), (1.0, 1.5)) * total
    return Drawing(integral.astype(np.float32), total > 0.45 * gain)


def epicardial_fat(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A triangle of fat in the angle of heart and diaphragm."""
    side = finding.side
    sign = 1 if side == "left" else -1
    column = 186 if side == "left" else MEDIAL["right"] - 4
    pad = gaussian(142, column, 9, 12, 0.5 * sign)
    return Drawing((WATER * 24 * pad * step(smooth_noise(rng, 20) + 2)).astype(np.float32), pad > 0.4)

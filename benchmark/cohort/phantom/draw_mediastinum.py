"""Findings of heart, great vessels and mediastinum."""

from __future__ import annotations

import cv2
import numpy as np

from benchmark.cohort.phantom.anatomy import HEIGHT, WATER, WIDTH, Anatomy
from benchmark.cohort.phantom.canvas import (
    COLUMNS,
    HILUM,
    MEDIAL,
    ROWS,
    TISSUE_FOR_LUNG,
    Drawing,
    curve,
    gaussian,
    line,
    smooth_noise,
    sphere,
    step,
)
from benchmark.cohort.phantom.finding import Finding

HEART = (118.0, 138.0)
"""(row, column) about which the heart grows."""
AORTIC_KNOB = (62.0, 138.0)


def stretched(values: np.ndarray, centre: tuple[float, float], vertical: float, horizontal: float) -> np.ndarray:
    """A map enlarged about a (row, column) by two factors, float32."""
    row, column = centre
    matrix = np.array([[horizontal, 0, column * (1 - horizontal)], [0, vertical, row * (1 - vertical)]], np.float32)
    return cv2.warpAffine(values, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)


def heart_scaled(anatomy: Anatomy, width: float) -> np.ndarray:
    """Integral gained (lost) when the heart becomes ``width`` times as wide; also used for normal variation."""
    larger = stretched(anatomy.heart, HEART, 1 + 0.45 * (width - 1), width) * (1 + 0.5 * (width - 1))
    change = larger - anatomy.heart
    over_lung = np.minimum((anatomy.right_lung + anatomy.left_lung) / 40, 1)  # elsewhere tissue displaces tissue
    return (TISSUE_FOR_LUNG * change * (0.15 + 0.85 * over_lung)).astype(np.float32)


def cardiomegaly(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A heart that is too wide."""
    width = float(np.interp(finding.severity, (0, 0.5, 1), (1.16, 1.36, 1.62)))
    outline = stretched(anatomy.heart, HEART, 1 + 0.45 * (width - 1), width) > 9
    return Drawing(heart_scaled(anatomy, width), outline & (ROWS > 70))


def aorta_enlarged(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A wide or tortuous aorta: large knob, descending part bulging to the left."""
    width = np.interp(finding.severity, (0, 1), (1.35, 2.0)) * rng.uniform(0.95, 1.05)
    larger = stretched(anatomy.aorta, (80.0, 132.0), 1.06, width)
    bulge = gaussian(AORTIC_KNOB[0] + 4, AORTIC_KNOB[1] + 5, 12, 10) * np.interp(finding.severity, (0, 1), (20, 45))
    bulge += gaussian(95, 146, 22, 6) * np.interp(finding.severity, (0, 1), (10, 28))
    ascending = gaussian(88, 108, 16, 6) * np.interp(finding.severity, (0, 1), (6, 26))
    fade = step((135 - ROWS) / 8)
    integral = TISSUE_FOR_LUNG * (np.maximum(larger - anatomy.aorta, 0) + bulge + ascending) * fade
    return Drawing(integral.astype(np.float32), ((larger > 14) | (bulge > 9)) & (ROWS < 112))


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
        total = total + 0.9 * gain * line(curve([(row - 14, column - 4 * sign), (row, column), (row + 20, column + 12 * sign)]), 11, 3)
    integral = TISSUE_FOR_LUNG * np.interp(finding.severity, (0, 1), (1.0, 1.5)) * total
    return Drawing(integral.astype(np.float32), total > 0.45 * gain)


def epicardial_fat(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A triangle of fat in the angle of heart and diaphragm."""
    side = finding.side
    sign = 1 if side == "left" else -1
    column = 186 if side == "left" else MEDIAL["right"] - 4
    pad = gaussian(142, column, 9, 12, 0.5 * sign)
    return Drawing((WATER * 24 * pad * step(smooth_noise(rng, 20) + 2)).astype(np.float32), pad > 0.4)

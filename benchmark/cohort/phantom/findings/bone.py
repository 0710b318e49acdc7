"""Findings of ribs, clavicles, spine and soft tissue of the chest wall."""

from __future__ import annotations

import cv2
import numpy as np

from benchmark.cohort.phantom.anatomy import WATER, Anatomy
from benchmark.cohort.phantom.canvas import COLUMNS, ROWS, Drawing, gaussian, line, smooth_noise, step
from benchmark.cohort.phantom.findings.finding import Finding

DISCS = (40, 55, 70, 85, 101, 118, 136, 155)
"""Rows of the thoracic discs on the canvas."""


def spine_column(anatomy: Anatomy, row: float) -> float:
    """Column of the spine's centre at a row."""
    weights = anatomy.spine[round(row)]
    return float((weights * COLUMNS[0]).sum() / max(float(weights.sum()), 1e-6))


def rib_fracture(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A displaced gap with callus in one to three neighbouring ribs."""
    first = int(rng.integers(3, 8)) + (12 if finding.side == "right" else 0)
    total, region = np.zeros_like(ROWS), np.zeros(ROWS.shape, bool)
    fraction = rng.uniform(0.55, 0.95)
    for index in range(first, first + 1 + int(rng.integers(0, 3))):
        points = np.argwhere(anatomy.ribs[index] > 4)
        order = np.argsort(np.abs(points[:, 1] - 128), kind="stable")
        row, column = points[order[int(fraction * (len(order) - 1))]]
        spot = gaussian(float(row), float(column), 3.4, 3.0)
        callus = gaussian(float(row) + 1.5, float(column), 4.2, 5.2)
        broken = "healed" not in finding.qualifiers
        gain = np.interp(finding.severity, (0, 1), (0.7, 1.2))
        total += gain * callus - (
            1.4 * anatomy.bone * spot + 0.25 * gaussian(float(row), float(column), 3.4, 1.2) if broken else 0
        )
        region |= callus > 0.25
    return Drawing(total.astype(np.float32), region)


def clavicle_fracture(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A step in one clavicle with callus."""
    half = COLUMNS < 128 if finding.side == "right" else COLUMNS > 128
    points = np.argwhere((anatomy.clavicles > 6) & half)
    row, column = points[int(rng.integers(len(points)))]
    row = max(int(row), 14)
    callus = gaussian(row + 3.0, float(column), 4.5, 6)
    gap = gaussian(float(row), float(column), 7, 2.2)
    return Drawing((1.0 * callus - 1.4 * anatomy.bone * gap).astype(np.float32), (callus > 0.3) | (gap > 0.4))


def degenerative_spine(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Osteophytes beside narrowed, sclerotic discs."""
    total = np.zeros_like(ROWS)
    count = int(np.interp(finding.severity, (0, 1), (3, 7)))
    levels = rng.choice(len(DISCS), size=count, replace=False)
    for level in levels:
        row = DISCS[level] + rng.normal(0, 1)
        column = spine_column(anatomy, row)
        for sign in (-1, 1):
            if rng.random() < 0.8:
                reach = rng.uniform(0.7, 1.2)
                at = column + sign * 15
                beak = line([(row - 4 * reach, at), (row, at + sign * 6 * reach), (row + 4 * reach, at)], 3.0, 1.0)
                total = np.maximum(total, beak)
        total = np.maximum(total, 0.75 * line([(row, column - 12), (row, column + 12)], 2.6, 0.8))
    integral = np.interp(finding.severity, (0, 1), (0.45, 0.95)) * total
    return Drawing(integral.astype(np.float32), cv2.dilate((total > 0.3).astype(np.uint8), np.ones((5, 5))) > 0)


def scoliosis(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A spine bent to one side, the chest with it."""
    sign = 1.0 if finding.side == "left" else -1.0
    amount = sign * np.interp(finding.severity, (0, 1), (10, 30)) * rng.uniform(0.9, 1.15)
    middle, length = rng.uniform(85, 115), rng.uniform(48, 62)

    def warp(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        bend = np.exp(-(((rows - middle) / length) ** 2)) - 0.45 * np.exp(-(((rows - middle - 95) / 45) ** 2))
        near = np.exp(-(((columns - 128) / 52) ** 2))
        return np.zeros_like(rows), (-amount * bend * near).astype(np.float32)

    return Drawing(None, (np.abs(COLUMNS - 128) < 14) & (np.abs(ROWS - middle) < length), warp)


def kyphosis(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A bent-forward chest: short lung fields, chin and clavicles low, dense upper spine."""
    amount = np.interp(finding.severity, (0, 1), (9, 22))

    def warp(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (-amount * np.exp(-np.clip(rows, 0, None) / 55)).astype(np.float32), np.zeros_like(columns)

    dense = 0.010 * anatomy.spine * gaussian(75, 128, 35, 60) * (0.5 + finding.severity)
    return Drawing(dense.astype(np.float32), (np.abs(COLUMNS - 126) < 16) & (np.abs(ROWS - 75) < 45), warp)


def osteopenia(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Bones that have lost mineral."""
    loss = np.interp(finding.severity, (0, 1), (0.45, 0.75))
    return Drawing((-loss * anatomy.bone).astype(np.float32))


def vertebral_deformity(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """One or two flattened, dense vertebral bodies."""
    total = np.zeros_like(ROWS)
    for _ in range(1 + int(rng.random() < 0.4)):
        row = float(rng.uniform(75, 150))
        column = spine_column(anatomy, row)
        total = np.maximum(total, line([(row, column - 11), (row + rng.normal(0, 1.5), column + 11)], 6, 1.2))
    return Drawing((np.interp(finding.severity, (0, 1), (0.45, 0.9)) * total).astype(np.float32), total > 0.3)


def shoulder_arthritis(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Sclerosis and a spur at the shoulder joint, at the image's edge."""
    column = 44 if finding.side == "right" else 214
    joint = gaussian(14, column, 6, 4.5)
    return Drawing((0.7 * joint).astype(np.float32), joint > 0.3)


def mastectomy(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """One breast is missing: that lower half of the chest is brighter to the rays."""
    column = 76 if finding.side == "right" else 188
    other = 76 if finding.side != "right" else 188
    lost = WATER * 26 * gaussian(128, column, 24, 26)
    kept = WATER * 22 * gaussian(130, other, 24, 26)
    return Drawing((kept - 0.5 * lost).astype(np.float32), gaussian(128, column, 24, 26) > 0.5)


def breast_implants(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Two sharp-edged discs of tissue density."""
    total = np.zeros_like(ROWS)
    for column in (76, 188):
        distance = np.hypot((ROWS - 128) / 1.05, COLUMNS - column)
        total += step((26 - distance) / 0.9) * (0.7 + 0.3 * (distance / 26) ** 4)
    return Drawing((WATER * 34 * total).astype(np.float32), total > 0.4)


def subcutaneous_emphysema(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Streaks of gas along the muscles of the chest wall."""
    column = 30 if finding.side == "right" else 228
    near = gaussian(60, column, 40, 16)
    streaks = np.exp(-((smooth_noise(rng, 5) / 0.35) ** 2)) * near
    return Drawing((-0.75 * streaks).astype(np.float32), near > 0.4)

"""Things put into or onto a patient: catheters, pacemakers, tubes, wires, clips; and mild distractors."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from benchmark.cohort.phantom.anatomy import WATER, Anatomy
from benchmark.cohort.phantom.canvas import COLUMNS, ROWS, Drawing, curve, gaussian, line, place, sphere, step
from benchmark.cohort.phantom.findings.bone import spine_column
from benchmark.cohort.phantom.findings.finding import Finding

SUPERIOR_VENA_CAVA = (92.0, 112.0)
RIGHT_VENTRICLE = (140.0, 158.0)


def _disc(row: float, column: float, height: float, width: float) -> np.ndarray:
    """A rounded plate with soft edges, 0..1; half sizes in pixels."""
    shape = ((ROWS - row) / height) ** 4 + ((COLUMNS - column) / width) ** 4
    return step((1 - shape) * 6)


def catheter(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A central venous line, from the shoulder, the neck or a port on the chest, to the superior vena cava."""
    sign = -1 if finding.side == "right" else 1
    tip = (SUPERIOR_VENA_CAVA[0] + rng.normal(0, 7), SUPERIOR_VENA_CAVA[1] + rng.normal(0, 2))
    way = rng.random()
    total: np.ndarray = np.zeros_like(ROWS)
    if way < 0.4:  # port under the skin
        start = (66 + rng.normal(0, 6), 128 + sign * rng.uniform(52, 62))
        total = 1.0 * _disc(*start, 8, 8) + 0.5 * _disc(*start, 5, 5)
        points = [start, (25, 128 + sign * 50), (14, 128 + sign * 18), (40, tip[1]), tip]
    elif way < 0.75:  # from the arm
        points = [(40, 128 + sign * 98), (12, 128 + sign * 74), (20, 128 + sign * 34), (34, tip[1]), tip]
    else:  # from the neck
        points = [(0, 128 + sign * 22), (18, 128 + sign * 18), (45, tip[1]), tip]
    total = np.maximum(total, line(curve(points), 2.2, 0.7))
    return Drawing((0.85 * total).astype(np.float32), total > 0.25)


def pacemaker(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A generator below the clavicle with one or two leads into the heart."""
    sign = -1 if finding.side == "right" else 1
    box = (44 + rng.normal(0, 5), 128 + sign * rng.uniform(58, 68))
    total = 2.2 * _disc(*box, 13, 15)
    for index in range(1 + int(rng.random() < 0.6)):
        tip = (RIGHT_VENTRICLE[0] - 22 * index, RIGHT_VENTRICLE[1] - 40 * index)
        way = [box, (16, 128 + sign * 40), (26, 118), (88, 104), (150 - 18 * index, 118), tip]
        total = np.maximum(total, 0.95 * line(curve(way), 2.4, 0.6))
    return Drawing(total.astype(np.float32), total > 0.25)


def _hose(points: Sequence[tuple[float, float]], width: float) -> Drawing:
    """A tube with a line that shows on radiographs along it."""
    path = curve(points)
    total = np.maximum(0.45 * line(path, width, 0.8), 0.8 * line(path, 1.2, 0.6))
    return Drawing(total.astype(np.float32), total > 0.2)


def endotracheal_tube(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Down the trachea, to above its branching."""
    return _hose([(0, 120), (30, 121), (62, 122)], 5.0)


def gastric_tube(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Down the oesophagus into the stomach."""
    return _hose([(0, 126), (60, 128), (130, 134), (176, 160), (186, 176)], 3.0)


def chest_tube(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A drain from the side between the ribs toward the apex."""
    sign = -1 if finding.side == "right" else 1
    return _hose([(132, 128 + sign * 104), (112, 128 + sign * 70), (70, 128 + sign * 60), (44, 128 + sign * 52)], 4.0)


def tube(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """An endotracheal, a gastric or a chest tube."""
    kind = rng.random()
    if finding.side in ("left", "right") and kind < 0.5:
        return chest_tube(anatomy, finding, rng)
    return (endotracheal_tube if kind < 0.75 else gastric_tube)(anatomy, finding, rng)


def sternotomy(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Wires along the sternum and clips beside the heart."""
    total = np.zeros_like(ROWS)
    centre = 128 + rng.normal(0, 2)
    for row in np.linspace(50, 128, int(rng.integers(5, 8))):
        at, tilt, half = row + rng.normal(0, 1.5), rng.normal(0, 2), rng.uniform(5, 7.5)
        loop = [
            (at - 3, centre - half),
            (at + 3 + tilt, centre + half),
            (at - 3 + tilt, centre + half),
            (at + 3, centre - half),
        ]
        total = np.maximum(total, line([*loop, loop[0]], 1.6, 0.5))
    for _ in range(int(rng.integers(0, 6))):
        row, column = rng.uniform(90, 130), rng.uniform(140, 170)
        total = np.maximum(total, line([(row, column), (row + 3, column + 1)], 2, 0.5))
    return Drawing((1.1 * total).astype(np.float32), cv2.dilate((total > 0.3).astype(np.uint8), np.ones((5, 5))) > 0)


def surgical_clips(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A handful of metal clips: under the liver, at an axilla or at a hilum."""
    if "abdomen" in finding.qualifiers:
        row, column = 196.0, 92.0 if finding.side != "left" else 170.0
    elif finding.qualifiers & {"breast", "thorax"}:
        row, column = 72.0, 40.0 if finding.side == "right" else 216.0
    else:
        row, column = place(anatomy, finding.side or "right", finding.zone, rng)
    total = np.zeros_like(ROWS)
    for _ in range(int(rng.integers(3, 7))):
        y, x, angle = row + rng.normal(0, 7), column + rng.normal(0, 7), rng.uniform(0, np.pi)
        total = np.maximum(total, line([(y, x), (y + 5 * np.sin(angle), x + 5 * np.cos(angle))], 2.2, 0.5))
    return Drawing((1.4 * total).astype(np.float32), total > 0.25)


def stent(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A mesh tube over the heart or a great vessel."""
    row, column = rng.uniform(90, 120), rng.uniform(130, 160)
    path = [(row, column), (row + 14, column + 9)]
    total = line(path, 5, 0.6) - 0.5 * line(path, 2.5, 0.6)
    return Drawing((1.0 * total).astype(np.float32), total > 0.25)


def foreign_body(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Fragments of metal."""
    total = np.zeros_like(ROWS)
    for _ in range(int(rng.integers(1, 4))):
        total += sphere(*place(anatomy, finding.side, finding.zone, rng), rng.uniform(2.5, 5))
    return Drawing((8 * WATER * total).astype(np.float32), total > 1)


def spinal_fusion(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Two rods with screws; a plate at the neck where the tag says cervical."""
    first, last = (
        (0.0, 24.0) if "cervical vertebrae" in finding.qualifiers else (rng.uniform(40, 90), rng.uniform(130, 190))
    )
    total = np.zeros_like(ROWS)
    for offset in (-8, 8):
        rod = [(row, spine_column(anatomy, row) + offset) for row in np.linspace(first, last, 6)]
        total = np.maximum(total, line(rod, 3, 0.5))
        for row, column in rod:
            total = np.maximum(total, line([(row, column), (row + 1, column + np.sign(offset) * 6)], 3.2, 0.5))
    return Drawing((1.8 * total).astype(np.float32), total > 0.25)


def monitoring_leads(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Electrodes on the skin with their wires: no finding of a label set, but never absent on a ward."""
    total = np.zeros_like(ROWS)
    for _ in range(int(rng.integers(2, 5))):
        spot = (rng.uniform(20, 160), rng.choice([rng.uniform(35, 95), rng.uniform(160, 222)]))
        total = np.maximum(total, sphere(*spot, 4.0) / 8)
        end = (min(spot[0] + rng.uniform(50, 110), 235), spot[1] + rng.normal(0, 35))
        total = np.maximum(total, 0.6 * line(curve([spot, (spot[0] + 25, spot[1] + rng.normal(0, 25)), end]), 1.4, 0.6))
    return Drawing((0.55 * total).astype(np.float32), total > 0.25)


def nipple_shadow(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A nipple seen end-on: round, faint, low and symmetric; easily taken for a nodule."""
    total = np.zeros_like(ROWS)
    row, offset = rng.uniform(126, 142), rng.uniform(46, 56)
    sides = (-1, 1) if finding.side in ("", "bilateral") else ((-1,) if finding.side == "right" else (1,))
    for sign in sides:
        total += gaussian(row + rng.normal(0, 2), 128 + sign * offset, 2.6, 2.6)
    return Drawing((0.16 * total).astype(np.float32), total > 0.4)

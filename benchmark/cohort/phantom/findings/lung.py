"""Findings of the lung tissue: opacities, nodules, edema, fibrosis, collapse, cavities."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from benchmark.cohort.phantom.anatomy import WATER, Anatomy
from benchmark.cohort.phantom.canvas import (
    HILUM,
    LATERAL,
    LUNG_BASE,
    MEDIAL,
    ROWS,
    TISSUE_FOR_LUNG,
    Drawing,
    aerated,
    curve,
    depth,
    gaussian,
    line,
    place,
    smooth_noise,
    sphere,
    step,
    visible,
    zone_rows,
)
from benchmark.cohort.phantom.findings.finding import Finding

CALCIUM = 4.5 * WATER
"""Attenuation of a calcified granuloma, 1/mm."""


def patch(
    anatomy: Anatomy, finding: Finding, rng: np.random.Generator, size: tuple[float, float], fill: tuple[float, float]
) -> Drawing:
    """A soft-edged cloud of fluid in the air spaces.

    Args:
        anatomy: the canvas.
        finding: side, zone and severity.
        rng: the study's generator.
        size: standard deviation of the cloud at severity 0 and 1, pixels.
        fill: share of the lung's air replaced at severity 0 and 1.
    """
    row, column = place(anatomy, finding.side, finding.zone, rng)
    radius = np.interp(finding.severity, (0, 1), size) * rng.uniform(0.8, 1.2)
    cloud = gaussian(row, column, radius * rng.uniform(0.7, 1.1), radius, rng.uniform(-0.6, 0.6))
    cloud = cloud * np.exp(0.3 * smooth_noise(rng, 15) + 0.08 * smooth_noise(rng, 6))
    texture = np.clip(1 + 0.14 * smooth_noise(rng, 9) + 0.12 * smooth_noise(rng, 4), 0.3, 2)
    amount = np.interp(finding.severity, (0, 1), fill)
    lung = anatomy.lung(finding.side) * aerated(finding.side)
    integral = TISSUE_FOR_LUNG * amount * lung * step((cloud - 0.5) * 8) * texture
    return Drawing(integral, (cloud > 0.5) & (lung > 20))


def consolidation(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Dense, confluent: pneumonia, air-space disease."""
    return patch(anatomy, finding, rng, (15, 28), (0.38, 0.8))


def opacity(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A fainter cloud, or streaks where the tag says so."""
    if finding.qualifiers & {"streaky", "irregular"}:
        return atelectasis(anatomy, finding, rng)
    return patch(anatomy, finding, rng, (13, 25), (0.28, 0.6))


def infiltrate(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Patchy over a larger part of a lung."""
    row, column = place(anatomy, finding.side, finding.zone, rng)
    radius = np.interp(finding.severity, (0, 1), (20, 34))
    cloud = gaussian(row, column, radius, radius * 0.8)
    texture = np.clip(0.45 + 0.6 * smooth_noise(rng, 7) + 0.4 * smooth_noise(rng, 4), 0, 2.5)
    lung = anatomy.lung(finding.side) * aerated(finding.side)
    integral = TISSUE_FOR_LUNG * np.interp(finding.severity, (0, 1), (0.25, 0.55)) * lung * cloud * texture
    return Drawing(integral, (cloud > 0.45) & (lung > 20))


def reticulum(rng: np.random.Generator) -> np.ndarray:
    """A net of fine lines: the zero crossings of smooth noise, 0..1."""
    return np.maximum(
        np.exp(-((smooth_noise(rng, 6.5) / 0.22) ** 2)), 0.8 * np.exp(-((smooth_noise(rng, 5) / 0.2) ** 2))
    )


def interstitial(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Reticular lines, mostly toward the base."""
    first, last = zone_rows(finding.side, finding.zone)
    weight = step((ROWS - first) / 6 + 1) * step((last - ROWS) / 6 + 2) if finding.zone else step((ROWS - 70) / 18)
    lung = anatomy.lung(finding.side)
    field = np.minimum(lung / 60, 1) * aerated(finding.side) * weight * (0.6 + 0.4 * step(smooth_noise(rng, 30) * 2))
    integral = np.interp(finding.severity, (0, 1), (0.2, 0.5)) * field * (reticulum(rng) + 0.25)
    return Drawing(integral.astype(np.float32), (field > 0.5) & (LUNG_BASE[finding.side] > ROWS))


def fibrosis(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Coarse lines and rings under the outer wall, with some haze."""
    wall = depth(anatomy, finding.side)
    first, last = zone_rows(finding.side, finding.zone or ("lower" if rng.random() < 0.7 else "upper"))
    weight = step((ROWS - first) / 5 + 2) * step((last - ROWS) / 5 + 2) * np.exp(-wall / 34) * (wall > 0)
    integral = np.interp(finding.severity, (0, 1), (0.35, 0.75)) * weight * (reticulum(rng) + 0.35)
    return Drawing(integral.astype(np.float32), weight > 0.3)


def edema(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Bat wings: haze spreading from the hilum, wide vessels, Kerley lines at the base."""
    side = finding.side
    row, column = HILUM[side]
    outer = column + (LATERAL[side] - column) * 0.3
    wing = gaussian(row + 8, outer, 34, 22) * np.clip(
        1 + 0.2 * smooth_noise(rng, 14) + 0.12 * smooth_noise(rng, 5), 0.3, 2
    )
    lung = anatomy.lung(side) * aerated(side)
    integral = TISSUE_FOR_LUNG * np.interp(finding.severity, (0, 1), (0.24, 0.65)) * lung * wing
    integral += np.interp(finding.severity, (0, 1), (0.6, 1.2)) * anatomy.vessels * aerated(side) * (lung > 0)
    for level in range(int(np.interp(finding.severity, (0, 1), (2, 7)))):
        at = LUNG_BASE[side] - 10 - level * rng.uniform(3, 5)
        edge = LATERAL[side] + (3 if side == "right" else -3)
        inner = edge + (MEDIAL[side] - edge) * rng.uniform(0.12, 0.2)
        integral += 0.12 * line([(at, edge), (at - rng.uniform(0, 2), inner)], 1)
    return Drawing(integral.astype(np.float32), (wing > 0.4) & (lung > 20))


def congestion(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Wide, blurred vessels about the hilum."""
    side = finding.side
    lung = anatomy.lung(side) * aerated(side)
    blurred = cv2.GaussianBlur(anatomy.vessels, (0, 0), 1.5)
    near = gaussian(HILUM[side][0] + 6, HILUM[side][1], 36, 32)
    gain = np.interp(finding.severity, (0, 1), (1.0, 2.4)) * rng.uniform(0.85, 1.15)
    integral = gain * (anatomy.vessels * 0.5 + blurred) * aerated(side) * (lung > 0) + 0.12 * gain * near * np.minimum(
        lung / 60, 1
    )
    return Drawing(integral.astype(np.float32), (near > 0.4) & (lung > 20))


def vascular_markings(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Vessels and bronchial walls that stand out further than they should."""
    lung = anatomy.lung(finding.side) * aerated(finding.side)
    net = reticulum(rng) * np.minimum(lung / 70, 1) * gaussian(100, HILUM[finding.side][1], 40, 34)
    gain = np.interp(finding.severity, (0, 1), (0.9, 1.8))
    integral = gain * (anatomy.vessels * (lung > 0) * aerated(finding.side) + 0.12 * net)
    return Drawing(integral.astype(np.float32), (net > 0.3) & (LUNG_BASE[finding.side] > ROWS))


def nodule(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """One to four spheres of soft tissue."""
    count = int(rng.integers(2, 5)) if "multiple" in finding.qualifiers else 1
    total = np.zeros_like(ROWS)
    for _ in range(count):
        radius = np.interp(finding.severity, (0, 1), (5.5, 13.5)) * rng.uniform(0.8, 1.25)
        total += sphere(*place(anatomy, finding.side, finding.zone, rng), radius)
    return Drawing(1.7 * TISSUE_FOR_LUNG * cv2.GaussianBlur(total, (0, 0), 0.8), total > 2)


def nodules(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Several of them."""
    return nodule(anatomy, replace(finding, qualifiers=finding.qualifiers | {"multiple"}), rng)


def mass(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A lump of more than 3 cm with an uneven edge."""
    row, column = place(anatomy, finding.side, finding.zone, rng)
    radius = np.interp(finding.severity, (0, 1), (17, 34)) * rng.uniform(0.85, 1.15)
    thickness = sphere(row, column, radius) * np.clip(1 + 0.25 * smooth_noise(rng, 6), 0.4, 1.6)
    return Drawing(1.2 * TISSUE_FOR_LUNG * cv2.GaussianBlur(thickness, (0, 0), 1.2), thickness > 6)


def granuloma(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Small calcified spheres."""
    several = bool(finding.qualifiers & {"multiple", "scattered"})
    count = int(rng.integers(2, 6)) if several else 1
    total = np.zeros_like(ROWS)
    for _ in range(count):
        radius = np.interp(finding.severity, (0, 1), (3.8, 6.5)) * rng.uniform(0.8, 1.25)
        total += sphere(*place(anatomy, finding.side, finding.zone, rng), radius)
    return Drawing(CALCIUM * cv2.GaussianBlur(total, (0, 0), 0.5), total > 1)


def calcified_nodes(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A cluster of calcified lymph nodes at a hilum."""
    row, column = HILUM[finding.side]
    total = np.zeros_like(ROWS)
    for _ in range(int(rng.integers(3, 7))):
        at = row + rng.normal(0, 7), column + rng.normal(0, 5)
        total += sphere(*at, np.interp(finding.severity, (0, 1), (3.2, 5.4)) * rng.uniform(0.8, 1.2))
    return Drawing(CALCIUM * cv2.GaussianBlur(total, (0, 0), 0.5), total > 1)


def granulomatous_disease(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Old granulomatous disease: calcified nodes and a granuloma on the same side."""
    nodes, spot = calcified_nodes(anatomy, finding, rng), granuloma(anatomy, finding, rng)
    assert nodes.integral is not None
    assert nodes.region is not None
    assert spot.integral is not None
    return Drawing(nodes.integral + spot.integral, nodes.region | spot.region)


def atelectasis(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """Plates: bands of collapsed lung, with haze where the loss is greater."""
    side, lung = finding.side, anatomy.lung(finding.side)
    field = np.minimum(lung / 50, 1)
    total = np.zeros_like(ROWS)
    row, column = place(anatomy, side, finding.zone or "lower", rng)
    count = 1 + int(finding.severity > 0.3) + int(rng.integers(0, 2)) + int("streaky" in finding.qualifiers)
    for index in range(count):
        y, x = row + index * rng.uniform(5, 9) * (-1) ** index, column + rng.normal(0, 4)
        half, tilt = rng.uniform(13, 24), rng.uniform(-0.35, 0.35)
        ends = curve([(y - half * tilt, x - half), (y + rng.normal(0, 3), x), (y + half * tilt, x + half)])
        width = np.interp(finding.severity, (0, 1), (1.6, 4.2))
        total = np.maximum(total, line(ends, width, blur=width * 0.45))
    integral = np.interp(finding.severity, (0, 1), (0.5, 1.0)) * total * field
    region = visible(integral, 0.3)
    if finding.severity > 0.5:  # a shrunken lower lobe behind the plates
        haze = gaussian(LUNG_BASE[side] - 14, MEDIAL[side] + 0.35 * (LATERAL[side] - MEDIAL[side]), 13, 20)
        lobe = TISSUE_FOR_LUNG * 0.45 * finding.severity * anatomy.lower_lobe(side) * haze
        integral = integral + lobe
        region = region | (haze > 0.55) & (anatomy.lower_lobe(side) > 25)
    return Drawing(integral.astype(np.float32), region)


def scar(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """One or two thin curved strands; at the apex also a cap."""
    side = finding.side
    total = np.zeros_like(ROWS)
    for _ in range(1 + int(rng.integers(0, 2))):
        row, column = place(anatomy, side, finding.zone, rng)
        angle, half = rng.uniform(-1.2, 1.2), rng.uniform(9, 18)
        dy, dx = half * np.sin(angle), half * np.cos(angle)
        bend = (row + rng.normal(0, 5), column + rng.normal(0, 5))
        total = np.maximum(total, line(curve([(row - dy, column - dx), bend, (row + dy, column + dx)]), 1.6, 0.8))
    integral = np.interp(finding.severity, (0, 1), (0.3, 0.7)) * total * np.minimum(anatomy.lung(side) / 40, 1)
    if finding.zone == "upper":
        wall = depth(anatomy, side)
        cap = np.exp(-wall / 4) * (wall > 0) * step((50 - ROWS) / 3)
        integral = integral + 0.5 * finding.severity * cap
    return Drawing(integral.astype(np.float32), visible(integral, 0.3))


def cavity(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A thick-walled ring of tissue about air."""
    row, column = place(anatomy, finding.side, finding.zone or "upper", rng)
    outer = np.interp(finding.severity, (0, 1), (13, 24))
    shell = sphere(row, column, outer) - sphere(row, column, outer * 0.62)
    return Drawing(1.3 * TISSUE_FOR_LUNG * shell, shell > 2)


def tuberculosis(anatomy: Anatomy, finding: Finding, rng: np.random.Generator) -> Drawing:
    """A cavity in a patchy upper lobe."""
    ring = cavity(anatomy, finding, rng)
    around = infiltrate(anatomy, Finding(finding.kind, finding.side, "upper", finding.severity), rng)
    assert ring.integral is not None
    assert ring.region is not None
    assert around.integral is not None
    return Drawing(ring.integral + around.integral, ring.region | around.region)

"""From an attenuation integral to an image: beam, scatter, noise, exposure, collimation, markers.

I = exp(-L) reaches the detector, scattered light adds a blurred veil, quanta add noise; the display
shows -log I through a window and an S-shaped curve. Each dataset has a style: where its images
come from shows in projection, exposure, framing and aspect.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Style:
    """How one dataset's images are taken; ranges are (low, high) of a uniform draw."""

    aspect: tuple[float, float]
    """Height / width."""
    zoom: tuple[float, float]
    """Canvas pixels across the image's longer side, divided by 230."""
    portable: float
    """Share taken in bed: AP view, supine, shallow breath, wide heart, wires."""
    scatter: tuple[float, float]
    """Scattered / primary light."""
    noise: tuple[float, float]
    """Standard deviation of log I behind the lung."""
    contrast: tuple[float, float]
    """Slope of the display curve."""
    collimation: float
    """Share with a black frame."""
    marker: float
    """Share with a side marker."""
    rotation: float = 3.0
    """Standard deviation, degrees."""


STYLES = {
    "mimic_cxr": Style((0.82, 1.22), (0.84, 1.02), 0.45, (0.10, 0.45), (0.015, 0.05), (0.8, 1.25), 0.25, 0.7),
    "vindr_cxr": Style((1.05, 1.28), (0.84, 1.02), 0.05, (0.05, 0.25), (0.01, 0.03), (0.9, 1.3), 0.10, 0.6),
    "open_i": Style((0.82, 1.20), (0.88, 1.00), 0.08, (0.10, 0.35), (0.015, 0.045), (0.85, 1.2), 0.20, 0.8),
    "chexpert": Style((0.82, 1.05), (0.86, 1.04), 0.70, (0.20, 0.60), (0.02, 0.06), (0.75, 1.15), 0.35, 0.8),
    "padchest": Style((0.95, 1.20), (0.84, 1.02), 0.15, (0.10, 0.45), (0.015, 0.05), (0.75, 1.3), 0.30, 0.5),
}


def detect(integral: np.ndarray, style: Style, rng: np.random.Generator) -> np.ndarray:
    """Attenuation integral (H, W) -> displayed grey in [0, 1], float32 (H, W); bright = dense."""
    height, width = integral.shape
    primary = np.exp(-integral)
    small = cv2.resize(primary, (32, 32), interpolation=cv2.INTER_AREA)
    veil = cv2.resize(cv2.GaussianBlur(small, (0, 0), 4), (width, height), interpolation=cv2.INTER_LINEAR)
    # Lung lets through some 15 % of the beam: noise is stated there and grows where less light arrives.
    light = primary + rng.uniform(*style.scatter) * veil
    quantum = rng.uniform(*style.noise)
    grain = rng.standard_normal((height, width), dtype=np.float32)
    # The beam is not even: heel of the anode, a grid off its focus. The display does not know of it.
    tilt = rng.normal(0, 0.2, 2)
    slant = np.add.outer(tilt[0] * np.linspace(-1, 1, height), tilt[1] * np.linspace(-1, 1, width)).astype(np.float32)
    shown = slant - np.log(light) + quantum * np.sqrt(0.15 / np.maximum(light, 0.004)) * grain * 0.5
    core = shown[height // 8 : -height // 8 : 3, width // 8 : -width // 8 : 3]
    low, high = np.quantile(core, (0.02, 0.985))
    low, high = low - rng.uniform(0.0, 0.7), high + rng.uniform(-0.15, 0.3)
    level = (shown - low) / (high - low)
    slope = rng.uniform(*style.contrast) * 2.9
    curve = 1 / (1 + np.exp(-slope * (level - rng.uniform(0.43, 0.59))))
    darkest, brightest = 1 / (1 + np.exp(slope * 0.5)), 1 / (1 + np.exp(-slope * 0.5))
    return np.clip((curve - darkest) / (brightest - darkest), 0, 1).astype(np.float32)


def frame(grey: np.ndarray, style: Style, portable: bool, rng: np.random.Generator) -> np.ndarray:
    """Collimator blades and lead markers, drawn in place; returns ``grey``."""
    height, width = grey.shape
    if rng.random() < style.collimation:
        top, bottom = (int(height * rng.uniform(0, 0.05)) for _ in range(2))
        left, right = (int(width * rng.uniform(0, 0.06)) for _ in range(2))
        grey[:top] = 0
        grey[height - bottom :] = 0
        grey[:, :left] = 0
        grey[:, width - right :] = 0
    if rng.random() < style.marker:
        size = height / 256 * rng.uniform(0.45, 0.75)
        left_marker = rng.random() < 0.6  # the patient's left is on the right of the image
        x = int(width * (rng.uniform(0.86, 0.92) if left_marker else rng.uniform(0.03, 0.08)))
        y = int(height * rng.uniform(0.07, 0.2))
        lead = np.zeros((height, width), np.uint8)
        cv2.putText(lead, "L" if left_marker else "R", (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, 250, 1, cv2.LINE_AA)
        if portable and rng.random() < 0.4:
            at = (int(width * 0.03), int(height * 0.06))
            cv2.putText(lead, "PORT", at, cv2.FONT_HERSHEY_SIMPLEX, size * 0.7, 235, 1, cv2.LINE_AA)
        np.maximum(grey, lead.astype(np.float32) / 255, out=grey)
    return grey

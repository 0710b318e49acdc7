"""The chest CT as line integrals along the anterior-posterior axis, and its structures as thickness maps.

A radiograph records exp(-L) with L the sum of attenuation along the ray. L is linear, so an image is one
base integral plus one integral per finding; everything a finding needs to know of the anatomy is
how thick each structure is along each ray. The canvas shows the patient from the front: row 0 is the
top, column 0 is the patient's right side; pixels are square, ``PIXEL`` mm.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np

from benchmark.common import files
from benchmark.materials import contents
from benchmark.pipeline import layout

WIDTH, HEIGHT = 256, 236
"""Columns and rows of the canvas."""
PIXEL = 512 * 0.703125 / WIDTH
"""Side of a canvas pixel, mm (1.406)."""
WATER = 0.019
"""Linear attenuation of water at about 70 keV, 1/mm (NIST XCOM)."""
VERSION = 4
"""Raised when the maps change, so that a cached file of an older version is not read."""

LOBES = {
    "right": ("lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right"),
    "left": ("lung_upper_lobe_left", "lung_lower_lobe_left"),
}


@dataclass(frozen=True)
class Anatomy:
    """float32 maps (HEIGHT, WIDTH) of the canvas; thickness in mm, attenuation integrals without unit."""

    soft: np.ndarray
    """Attenuation integral of everything but the excess of bone over soft tissue."""
    bone: np.ndarray
    """Attenuation integral of that excess."""
    vessels: np.ndarray
    """Attenuation integral of what is denser than air in the lungs: vessels and airway walls."""
    right_lung: np.ndarray
    """Thickness of the right lung, mm."""
    left_lung: np.ndarray
    right_lower: np.ndarray
    """Thickness of the right lower lobe, mm."""
    left_lower: np.ndarray
    heart: np.ndarray
    spine: np.ndarray
    """Thickness of the vertebrae, mm."""
    clavicles: np.ndarray
    ribs: np.ndarray
    """(24, HEIGHT, WIDTH): thickness of ribs left 1-12, right 1-12, mm."""

    def lung(self, side: str) -> np.ndarray:
        """Thickness of one lung, mm."""
        return self.right_lung if side == "right" else self.left_lung

    def lower_lobe(self, side: str) -> np.ndarray:
        """Thickness of one lower lobe, mm."""
        return self.right_lower if side == "right" else self.left_lower


def _on_canvas(projection: np.ndarray) -> np.ndarray:
    """(left, superior) sums of the CT -> (row, column) of the canvas, float32."""
    upright = np.ascontiguousarray(projection.T[::-1], dtype=np.float32)
    half = cv2.resize(upright, (WIDTH, upright.shape[0]), interpolation=cv2.INTER_AREA)
    return cv2.resize(half, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)


def _without_table(hounsfield: np.ndarray) -> np.ndarray:
    """True in the patient, False in the air and in the table under the back, bool (512, 512, 133)."""
    inside = np.empty(hounsfield.shape, bool)
    for level in range(hounsfield.shape[2]):
        dense = np.ascontiguousarray(hounsfield[:, :, level] > -400).view(np.uint8)
        opened = cv2.morphologyEx(dense, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
        contours, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        body = np.zeros(dense.shape, np.uint8)
        for contour in contours:
            if cv2.contourArea(contour) > 2000:  # arms and trunk; table and tubes are thin
                cv2.drawContours(body, [contour], -1, 1, cv2.FILLED)
        inside[:, :, level] = body.astype(bool)
    return inside


def project(ct: contents.ChestCT) -> Anatomy:
    """Sum the CT along the anterior-posterior axis (about 4 s)."""
    depth = ct.spacing[1]
    body = _without_table(ct.hounsfield)
    density = np.clip(1 + ct.hounsfield.astype(np.float32) / 1000, 0, None) * body
    skeleton = np.zeros(256, bool)
    for name, number in ct.names.items():
        skeleton[number] = name.startswith(
            ("vertebrae", "rib_", "clavicula", "scapula", "humerus", "sternum", "costal")
        )
    lungs = np.zeros(256, bool)
    lungs[[ct.names[name] for names in LOBES.values() for name in names]] = True

    def integral(amount: np.ndarray) -> np.ndarray:
        return _on_canvas(amount.sum(axis=1) * (WATER * depth))

    def thickness(*names: str) -> np.ndarray:
        wanted = np.zeros(256, bool)
        wanted[[ct.names[name] for name in names]] = True
        return _on_canvas(wanted[ct.structures].sum(axis=1) * depth)

    # The CT was taken with contrast medium, which a radiograph lacks: soft tissue ends at 80 HU.
    # Bone attenuates more than its Hounsfield number scaled to water says (photo-electric effect): 1.4.
    excess = np.where(skeleton[ct.structures], np.clip(density - 1.05, 0, 0.9) * 1.4, 0)
    vertebrae = [name for name in ct.names if name.startswith("vertebrae") and (ct.structures == ct.names[name]).any()]
    return Anatomy(
        soft=integral(np.minimum(density, np.where(skeleton[ct.structures], 1.05, 1.08))),
        bone=integral(excess),
        vessels=integral(np.where(lungs[ct.structures], np.clip(density - 0.30, 0, None), 0)),
        right_lung=thickness(*LOBES["right"]),
        left_lung=thickness(*LOBES["left"]),
        right_lower=thickness("lung_lower_lobe_right"),
        left_lower=thickness("lung_lower_lobe_left"),
        heart=thickness("heart", "atrial_appendage_left"),
        spine=thickness(*vertebrae),
        clavicles=thickness("clavicula_left", "clavicula_right"),
        ribs=np.stack([thickness(f"rib_{side}_{n}") for side in ("left", "right") for n in range(1, 13)]),
    )


def load(folder: Path = layout.MATERIALS) -> Anatomy:
    """The maps, from ``data/raw/.anatomy/`` if they were made before (0.1 s), else from the CT."""
    path = layout.raw(".anatomy") / f"maps-{VERSION}.npz"
    names = [field.name for field in fields(Anatomy)]
    if path.is_file():
        with np.load(path) as stored:
            return Anatomy(**{name: stored[name] for name in names})
    anatomy = project(contents.chest_ct(folder))
    with files.replacing(path) as part, open(part, "wb") as handle:
        np.savez(handle, **{name: getattr(anatomy, name) for name in names})
    return anatomy

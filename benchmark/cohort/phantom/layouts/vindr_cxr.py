"""The published layout of VinDr-CXR 1.0.0: test/<image_id>.dicom and the annotation tables.

Source: physionet.org/content/vindr-cxr. 12 to 16 bits, MONOCHROME1 or 2, some with a window.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from benchmark.cohort.phantom.render import MIN_PIXELS, Drawn, Radiograph
from benchmark.cohort.phantom.studies import Study, generator
from benchmark.cohort.phantom.vocabulary import VINDR_COLUMNS, VINDR_LOCAL

INVERTED = 0.2
"""Share of MONOCHROME1."""
WINDOWED = 0.6
"""Share of studies stored with a window."""
GAP = 0.03
"""Patches nearer than this share of the image's longer side have one box."""
SPECK = 0.1
"""A patch below this share of the finding's largest one gets no box of its own."""
HEART_BAND = 0.4
"""Height of a box of cardiomegaly / height of the heart: readers box the heart across its widest part."""

Box = tuple[int, int, int, int]
"""x_min, y_min, x_max, y_max in pixels, half open."""


def repeats(study: Study, seed: int) -> int:
    """One image a study."""
    return 1


def image_id(study: Study) -> str:
    """32 hexadecimal digits."""
    return hashlib.md5(f"phantom vindr {study.number}".encode(), usedforsecurity=False).hexdigest()


def _dicom(study: Study, grey: np.ndarray, path: Path) -> None:
    """Write one explicit-little-endian DICOM; how it is stored varies with the study."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

    rng = generator(7, study.dataset, 5, study.number)
    bits = int(rng.choice([12, 14, 16]))
    inverted, windowed = rng.random() < INVERTED, rng.random() < WINDOWED
    top = 2**bits - 1
    # With a window the grey scale fills part of the range; without one, all of it.
    low, high = (0.08 * top, 0.85 * top) if windowed else (0.0, float(top))
    shown = 1 - grey if inverted else grey
    stored = np.round(low + shown * (high - low)).astype("<u2")
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["phantom", image_id(study)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Modality = "DX"
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME1" if inverted else "MONOCHROME2"
    data.Rows, data.Columns = stored.shape
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, bits, bits - 1, 0
    if windowed:
        data.WindowCenter, data.WindowWidth = round((low + high) / 2), round(high - low)
    data.PixelData = stored.tobytes()
    data.save_as(path, enforce_file_format=True)


def boxes(drawn: Drawn) -> list[Box]:
    """The boxes that the release's readers would draw round a finding: each patch has one of its own.

    The real training boxes of cardiomegaly are three times as wide as high: they measure the heart's
    breadth. Otherwise a box is the extent of what was drawn, exactly.
    """
    if drawn.finding.kind == "cardiomegaly":
        x_min, y_min, x_max, y_max = drawn.box
        breadth = drawn.region.sum(1)
        widest = int(np.median(np.flatnonzero(breadth >= 0.97 * breadth.max())))
        half = max(1, round(HEART_BAND * (y_max - y_min) / 2))
        return [(x_min, max(y_min, widest - half), x_max, min(y_max, widest + half))]
    region = drawn.region.astype(np.uint8)
    gap = max(1, round(GAP * max(region.shape)))
    joined = cv2.morphologyEx(region, cv2.MORPH_CLOSE, np.ones((gap, gap), np.uint8))
    count, patches = cv2.connectedComponents(joined)
    sizes = np.bincount((patches * region).ravel(), minlength=count)[1:]
    least = max(MIN_PIXELS, SPECK * int(sizes.max()))
    kept = [number for number, size in enumerate(sizes, 1) if size >= least]
    return [Drawn(drawn.finding, drawn.region & (patches == number)).box for number in kept]


def write_image(study: Study, image: Radiograph, repeat: int, root: Path) -> dict[str, Any]:
    """``test/<image_id>.dicom``; returns its boxes."""
    path = root / "test" / f"{image_id(study)}.dicom"
    path.parent.mkdir(parents=True, exist_ok=True)
    _dicom(study, image.grey, path)
    labelled = [
        (label, *box)
        for drawn in image.drawn
        for label in drawn.finding.labels
        if label in VINDR_LOCAL
        for box in boxes(drawn)
    ]
    return {
        "image_id": image_id(study),
        "number": study.number,
        "view": image.view,
        "boxes": labelled,
        "drawn": [drawn.finding.kind for drawn in image.drawn],
    }


def write_tables(studies: Sequence[Study], images: Sequence[dict[str, Any]], root: Path, seed: int) -> None:
    """``annotations/image_labels_test.csv`` and ``annotations/annotations_test.csv``."""
    folder = root / "annotations"
    folder.mkdir(parents=True, exist_ok=True)
    labels, rows = [], []
    for image in images:
        study = studies[image["number"]]
        found = {label for label, *_ in image["boxes"]}  # a label is set where a box was drawn
        if not found:
            found = {"No finding"} if study.normal else {"Other disease(s)"}
        labels.append({"image_id": image["image_id"], **{name: int(name in found) for name in VINDR_COLUMNS}})
        boxed = image["boxes"] or [("No finding", None, None, None, None)]
        rows += [(image["image_id"], *box) for box in boxed]
    pd.DataFrame(labels).to_csv(folder / "image_labels_test.csv", index=False)
    columns = ["image_id", "class_name", "x_min", "y_min", "x_max", "y_max"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "annotations_test.csv", index=False)

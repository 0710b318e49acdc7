"""Is an image of one set a copy of an image of another? For images that are all made from one CT.

A perceptual hash of a few hundred bits cannot decide: two studies of the phantom differ by as few as 4 of dHash's 256
bits, an image and its own JPEG copy by up to 14. So fine structure is compared: what a blur of 1.5 pixels removes
(edges, noise, findings), correlated over the inner part of the image. Another window or gamma leaves a copy at
0.97 or above; that bound is measured on the images themselves, not assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.materials import contents, partition
from benchmark.pipeline import layout

MARGIN = 4
"""Pixels at the border that are left out: padding and collimation look alike everywhere."""
GAMMAS = (0.8, 1.25)


def fine_structure(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, pixels) rows of mean 0 and length 1: each image minus its blurred self."""
    rows = []
    for image in images.astype(np.float32):
        detail = (image - cv2.GaussianBlur(image, (0, 0), 1.5))[MARGIN:-MARGIN, MARGIN:-MARGIN].ravel()
        detail = detail - detail.mean()
        rows.append(detail / max(float(np.linalg.norm(detail)), 1e-6))
    return np.stack(rows)


def likeness(images: NDArray[np.uint8], others: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n,) the greatest correlation of each image's fine structure with any of the others'."""
    likest: NDArray[np.float32] = (fine_structure(images) @ fine_structure(others).T).max(axis=1)
    return likest


def of_copies(images: NDArray[np.uint8]) -> float:
    """The least correlation of an image with itself shown with another gamma: what a copy reaches at least."""
    own = fine_structure(images)
    shown = [np.uint8(255) * (images / np.float32(255)) ** np.float32(gamma) for gamma in GAMMAS]
    copies = [fine_structure(np.round(copy).astype(np.uint8)) for copy in shown]
    return float(min((own * copy).sum(axis=1).min() for copy in copies))


@cache
def _texts(folder: Path) -> dict[str, str]:
    """Number of each public report -> its normalised text."""
    return {report.uid: partition.normalised(report.text) for report in contents.open_i_reports(folder)}


@dataclass(frozen=True, eq=False)
class Side:
    """One split of one dataset of a rendered cohort."""

    name: str
    patients: frozenset[str]
    texts: frozenset[str]
    """What its images were drawn from: reports, normalised, or rows of the dataset's own public table."""
    images: NDArray[np.uint8]

    @classmethod
    def of(cls, root: Path, dataset: str, split: str) -> Side:
        """Read a split of data/cohort/ and, from data/raw/, which public report each image shows."""
        index = pd.read_parquet(root / layout.cohort(dataset) / "index.parquet")
        chosen = (index["split"] == split).to_numpy()
        drawn = pd.read_parquet(root / layout.raw(dataset) / "provenance.parquet").set_index("image_id")["source"]
        reports = _texts(root / layout.MATERIALS)
        names = index.loc[chosen, "image_id"]
        return cls(
            f"{dataset}, {split}",
            frozenset(index.loc[chosen, "patient_id"]),
            frozenset(
                reports[drawn[name].removeprefix("report ")]
                if drawn[name].startswith("report ")
                else f"{dataset}: {drawn[name]}"
                for name in names
            ),
            np.load(root / layout.cohort(dataset) / "images.npy")[chosen],
        )


def found_in(root: Path) -> list[str]:
    """What the training split below ``root`` shares with any split that is judged, as ``side: what``; empty if nothing.

    Raises:
        ValueError: the images are so alike that a copy could not be distinguished from another patient's.
    """
    trained = Side.of(root, layout.TRAINING_DATASET, "train")
    bound = of_copies(trained.images)
    if bound < 0.95:
        raise ValueError(f"an image and its own copy correlate by as little as {bound:.3f}")
    leaks = []
    for dataset, split in (
        (layout.TRAINING_DATASET, "validate"),
        *((name, "test") for name in layout.EVALUATION_DATASETS),
    ):
        side = Side.of(root, dataset, split)
        alike = likeness(side.images, trained.images)
        counts = {
            "patients": len(trained.patients & side.patients),
            "report texts": len(trained.texts & side.texts),
            f"images (correlation {alike.max():.3f}, a copy has {bound:.3f})": int((alike >= bound).sum()),
        }
        leaks += [f"{side.name}: {count} {what}" for what, count in counts.items() if count]
    return leaks

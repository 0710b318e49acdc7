"""A contact sheet: a labelled grid of phantom images with the boxes of what was drawn.

For the cohort report and for a look by eye; it renders afresh what the tree holds, so a sheet shows regions
of findings that a dataset publishes no boxes for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmark.cohort.phantom import anatomy
from benchmark.cohort.phantom.render import Radiograph
from benchmark.cohort.phantom.rendering import image_of
from benchmark.cohort.phantom.studies import Study, choose
from benchmark.common import files

CAPTION = 30
"""Height of the caption below an image, pixels."""
YELLOW = (0, 200, 255)
"""Blue, green, red."""


def tile(image: Radiograph, lines: Sequence[str], size: int) -> np.ndarray:
    """One captioned image with its boxes, uint8 (size + CAPTION, size, 3)."""
    height, width = image.grey.shape
    canvas = np.zeros((size + CAPTION, size, 3), np.uint8)
    canvas[:height, :width] = np.round(image.grey * 255).astype(np.uint8)[..., None]
    for drawn in image.drawn:
        x_min, y_min, x_max, y_max = drawn.box
        cv2.rectangle(canvas, (x_min, y_min), (x_max - 1, y_max - 1), YELLOW, 1)
    for row, text in enumerate(lines[:2]):
        at = (3, size + 12 + 13 * row)
        cv2.putText(canvas, text[: size // 6], at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (235, 235, 235), 1, cv2.LINE_AA)
    return canvas


def grid(tiles: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Tiles of one size in rows of ``columns``; the last row is filled with black."""
    blank = [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    padded = [*tiles, *blank]
    return np.vstack([np.hstack(padded[start : start + columns]) for start in range(0, len(padded), columns)])


def chosen_for_sheet(studies: Sequence[Study], count: int) -> list[Study]:
    """A third normal studies, then abnormal ones, each adding kinds that no earlier one shows while there are such."""
    normal = [study for study in studies if study.normal][: count // 3]
    shown: set[str] = set()
    fresh: list[Study] = []
    rest: list[Study] = []
    for study in studies:
        if study.normal or not study.findings:
            continue
        (rest if study.kinds <= shown else fresh).append(study)
        shown |= study.kinds
    return (normal + fresh + rest)[:count]


def contact_sheet(
    dataset: str, path: Path, *, seed: int, studies: int, count: int = 24, columns: int = 8, size: int = 200
) -> None:
    """Draw images of one phantom dataset with their boxes into a PNG.

    Args:
        dataset: a name of ``layout.DATASETS``.
        path: the PNG to write (atomically).
        seed: ``phantom.seed`` of params.yaml.
        studies: ``phantom.studies[dataset]`` of params.yaml: the sheet shows studies of that cohort.
        count: how many images.
        columns: images in a row.
        size: longer side of an image, pixels.
    """
    maps = anatomy.load()
    planned = choose(dataset, studies, seed)
    tiles = []
    for study in chosen_for_sheet(planned, count):
        image = image_of(maps, study, size, seed)
        kinds = ", ".join(sorted(study.kinds)) or ("normal" if study.normal else "nothing to draw")
        tiles.append(tile(image, [f"PHANTOM {dataset} {study.number} {image.view}", kinds], size))
    with files.replacing(path) as part:
        part.write_bytes(cv2.imencode(".png", grid(tiles, columns))[1].tobytes())

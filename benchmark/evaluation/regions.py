"""Ground-truth regions as disjoint pixel rectangles, whatever their kind.

A box is one rectangle, a zone one or two, a mask (COCO run-length code) one per run of a pixel column. All measures
of grounding.py are sums over rectangles, so one form serves VinDr-CXR and PadChest-GR boxes, CheXlocalize masks and
the zone test. Regions of one finding in one image are united.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from pycocotools import mask as coco

from benchmark.artifacts import reading
from benchmark.artifacts.cohort import Cohort
from benchmark.artifacts.stages import again
from benchmark.common.errors import UserError
from benchmark.evaluation import lung_template
from benchmark.evaluation.surface import Integers
from benchmark.pipeline import layout


@dataclass(frozen=True, eq=False)
class Region:
    """Where one finding lies in one image."""

    image_id: str
    finding: str
    kind: str
    """``box``, ``mask`` or ``zone``."""
    rectangles: Integers
    """(n, 4) disjoint [top, left, bottom, right), pixels of the original."""

    @property
    def area(self) -> int:
        """Pixels covered."""
        top, left, bottom, right = self.rectangles.T
        return int(((bottom - top) * (right - left)).sum())

    def distance(self, row: int, column: int) -> float:
        """Pixels from (row, column) to the nearest pixel of the region; 0 inside."""
        top, left, bottom, right = self.rectangles.T
        vertical = np.maximum(0, np.maximum(top - row, row - (bottom - 1)))
        horizontal = np.maximum(0, np.maximum(left - column, column - (right - 1)))
        return float(np.hypot(vertical, horizontal).min())

    def contains(self, rows: Integers, columns: Integers) -> np.ndarray:
        """Which points of the grid of pixel rows and columns lie inside: bool (rows, columns)."""
        top, left, bottom, right = self.rectangles.T[..., None]
        vertical = ((top <= rows) & (rows < bottom)).astype(np.float32)  # (n, rows)
        horizontal = ((left <= columns) & (columns < right)).astype(np.float32)
        return vertical.T @ horizontal > 0


def box_pixels(x_min: float, y_min: float, x_max: float, y_max: float, height: int, width: int) -> Integers:
    """The pixels whose centres lie in a half-open box, clipped to the image, as (1, 4); at least one pixel.

    Raises:
        ValueError: the box is inverted, not finite, or lies outside the image.
    """
    if not (x_min < x_max and y_min < y_max and np.isfinite([x_min, y_min, x_max, y_max]).all()):
        raise ValueError(f"a box needs x_min < x_max and y_min < y_max; found {x_min}, {y_min}, {x_max}, {y_max}")
    if x_max <= 0 or y_max <= 0 or x_min >= width or y_min >= height:
        raise ValueError(f"the box {x_min}, {y_min}, {x_max}, {y_max} lies outside its {width} x {height} image")
    top, bottom = _span(y_min, y_max, height)
    left, right = _span(x_min, x_max, width)
    return np.array([[top, left, bottom, right]], np.int64)


def _span(lower: float, upper: float, pixels: int) -> tuple[int, int]:
    """First and past-the-last pixel whose centre lies in [lower, upper), at least one."""
    first = min(max(int(np.ceil(lower - 0.5)), 0), pixels - 1)
    return first, max(min(int(np.ceil(upper - 0.5)), pixels), first + 1)


def mask_pixels(codes: list[str], height: int, width: int) -> Integers:
    """The union of COCO compressed run-length codes as one rectangle per run of a column, (n, 4).

    Raises:
        ValueError: the code does not describe a mask of this size, or the mask is empty.
    """
    try:
        parts = [{"size": [height, width], "counts": code.encode("ascii")} for code in codes]
        mask = coco.decode(coco.merge(parts))  # (height, width) uint8
    except (ValueError, TypeError, UnicodeEncodeError) as error:
        raise ValueError(f"the run-length code is not a {height} x {width} COCO mask ({error})") from None
    edges = np.diff(mask.T.astype(np.int8), prepend=0, append=0, axis=1)  # (width, height + 1)
    column, top = np.nonzero(edges == 1)
    bottom = np.nonzero(edges == -1)[1]
    if not len(column):
        raise ValueError("the mask is empty")
    return np.stack([top, column, bottom, column + 1], axis=1)


def disjoint(rectangles: Integers) -> Integers:
    """Cut overlapping rectangles (n, 4) along their edges into disjoint ones with the same union."""
    if len(rectangles) == 1:
        return rectangles
    ys, xs = np.unique(rectangles[:, [0, 2]]), np.unique(rectangles[:, [1, 3]])
    inside = np.zeros((len(ys) - 1, len(xs) - 1), bool)
    for top, left, bottom, right in rectangles:
        rows = slice(*np.searchsorted(ys, [top, bottom]))
        inside[rows, slice(*np.searchsorted(xs, [left, right]))] = True
    row, column = np.nonzero(inside)
    return np.stack([ys[row], xs[column], ys[row + 1], xs[column + 1]], axis=1)


def _pixels(rows: list[Any], kind: str, height: int, width: int) -> Integers:
    """The united pixels of regions.parquet rows of one image, finding and kind."""
    if kind == "mask":
        return mask_pixels([row.rle for row in rows], height, width)
    if kind == "box":
        parts = [box_pixels(row.x_min, row.y_min, row.x_max, row.y_max, height, width) for row in rows]
    else:
        parts = [lung_template.rectangles(row.side, row.zone, height, width) for row in rows]
    return disjoint(np.concatenate(parts))


def of(cohort: Cohort) -> list[Region]:
    """The grounding truth of a cohort's images, in the order of the index, then of the findings."""
    return list(read(layout.cohort(cohort.dataset) / "regions.parquet", cohort.index, cohort.findings))


def read(path: Path, index: pd.DataFrame, findings: list[str]) -> Iterator[Region]:
    """Regions of regions.parquet in the order of the index, then of the findings.

    Rows of findings that are not scored (the published label sets leave some out) are passed over.

    Args:
        path: ``regions.parquet`` (docs/files.md).
        index: rows with image_id, height and width.
        findings: the dataset's scored vocabulary.

    Raises:
        UserError: a row names an unknown image or an unusable region; the sentence says which.
    """
    table = reading.read_table(path)
    columns = (list(index["image_id"]), index["height"].tolist(), index["width"].tolist())
    sizes = {name: (place, height, width) for place, (name, height, width) in enumerate(zip(*columns, strict=True))}
    if unknown := sorted(set(table["image_id"]) - set(sizes)):
        raise UserError(f"{path} names the image '{unknown[0]}', which index.parquet does not list; run {again(path)}.")
    order = {finding: place for place, finding in enumerate(findings)}
    groups: dict[tuple[int, int], list[Any]] = {}
    for row in cast(Iterator[Any], table.itertuples()):
        if row.finding in order:
            groups.setdefault((sizes[row.image_id][0], order[row.finding]), []).append(row)
    for key in sorted(groups):
        rows = groups[key]
        first = rows[0]
        _, height, width = sizes[first.image_id]
        try:
            if len(kinds := {row.kind for row in rows}) > 1 or first.kind not in ("box", "mask", "zone"):
                raise ValueError(f"expected one kind of box, mask or zone, found {sorted(kinds)}")
            pixels = _pixels(rows, first.kind, height, width)
        except ValueError as error:
            raise UserError(f"{path}, row {first.Index}, image '{first.image_id}', {first.finding}: {error}.") from None
        yield Region(first.image_id, first.finding, first.kind, pixels)

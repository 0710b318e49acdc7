"""Where heatmaps point in the images of a batch that have ground truth: measured against their regions.

Whose heatmaps they are, a system's or the supervised reference's, is nothing that this file knows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.artifacts.cohort import Cohort
from benchmark.artifacts.columns import PUBLISHED
from benchmark.evaluation import grounding
from benchmark.evaluation.grounding import Grounding
from benchmark.evaluation.regions import Region
from benchmark.evaluation.surface import Placement
from benchmark.evaluation.zero_shot import require_finite

KEYS = ["dataset", "image_id", "finding", "heatmap", "kind"]
TYPES = {"hit": "int8", "chance": "float32", "cnr": "float32", "miou": "float32", "size": "float32"}
Ask = Callable[[list[int], list[str]], NDArray[np.floating]]
"""Images, by their place in the batch, and the finding asked of each to heatmaps (pairs, h, w) of the cached square."""


@dataclass(frozen=True, eq=False)
class Pointed:
    """One finding of one image: where it is and where the model points."""

    shown: str
    """Which heatmap it is: ``columns.PUBLISHED`` or ``CELL``."""
    region: Region
    heatmap: NDArray[np.float32]
    """(h, w) over the cached square."""
    row: int
    """The image's row in images.npy."""
    placement: Placement
    result: Grounding

    @property
    def bounds(self) -> list[float]:
        """Top, left, bottom and right of the region, in pixels of the cached square."""
        top, left = self.region.rectangles[:, :2].min(axis=0)
        bottom, right = self.region.rectangles[:, 2:].max(axis=0)
        corners = [(float(top), float(left)), (float(bottom), float(right))]
        return [round(value, 3) for corner in corners for value in self.placement.to_square(*corner)]


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked of the images of one dataset, and the truth."""

    by_image: dict[str, list[Region]]
    tolerance: float
    """Of the pointing game, pixels of the original."""
    whole: bool = True
    """False: the pointing game alone, a fraction of the cost; CNR and mIoU stay NaN."""

    @classmethod
    def of(cls, regions: Sequence[Region], tolerance: float) -> Question:
        """Ask for every finding that some image has a region of."""
        by_image: dict[str, list[Region]] = {}
        for region in regions:
            by_image.setdefault(region.image_id, []).append(region)
        return cls(by_image, tolerance)

    @property
    def findings(self) -> list[str]:
        """Those that are asked for, sorted."""
        return sorted({region.finding for regions in self.by_image.values() for region in regions})


def point(
    ask: Ask, cohort: Cohort, place: slice, question: Question, what: str, shown: str = PUBLISHED
) -> list[Pointed]:
    """Measure the heatmaps of one batch.

    Args:
        ask: for its heatmaps.
        cohort: the images.
        place: which of them the batch is, by position in the index.
        question: the truth.
        what: for error messages, e.g. ``carzero-0 on vindr_cxr``.
        shown: which heatmap ``ask`` gives.

    Raises:
        UserError: a heatmap is not finite.
    """
    batch = cohort.index.iloc[place]
    grounded = [i for i, image_id in enumerate(batch["image_id"]) if image_id in question.by_image]
    if not grounded:
        return []
    own = [question.by_image[batch["image_id"].iloc[i]] for i in grounded]
    pairs = [(i, region) for i, regions in zip(grounded, own, strict=True) for region in regions]
    maps = ask([i for i, _ in pairs], [region.finding for _, region in pairs])
    names = [f"{region.image_id}, {region.finding}" for _, region in pairs]
    require_finite(maps.reshape(len(pairs), -1), f"{what}, heatmaps", names, range(maps[0].size))
    found, first = [], 0
    for i, regions in zip(grounded, own, strict=True):
        heatmaps = maps[first : first + len(regions)]
        first += len(regions)
        height, width = int(batch["height"].iloc[i]), int(batch["width"].iloc[i])
        placement = Placement.of(height, width, cohort.images.shape[1])
        measured = grounding.measure(heatmaps, regions, placement, question.tolerance, question.whole)
        for region, heatmap, result in zip(regions, heatmaps, measured, strict=True):
            found.append(Pointed(shown, region, heatmap, int(batch.index[i]), placement, result))
    return found


def table(dataset: str, pointed: Sequence[Pointed]) -> pd.DataFrame:
    """Rows of pointing.parquet."""
    rows = [
        {"dataset": dataset, "image_id": p.region.image_id, "finding": p.region.finding}
        | {"heatmap": p.shown, "kind": p.region.kind}
        | asdict(p.result)
        for p in pointed
    ]
    return pd.DataFrame(rows, columns=[*KEYS, *TYPES]).astype(TYPES)

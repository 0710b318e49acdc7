"""Where a model points in the images of a batch that have ground truth: heatmaps, measured against their regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from baselines.base import ImageFeatures, TextFeatures
from benchmark.artifacts.cohort import Cohort
from benchmark.evaluation import grounding
from benchmark.evaluation.grounding import Grounding
from benchmark.evaluation.regions import Region
from benchmark.evaluation.surface import Placement
from benchmark.evaluation.zero_shot import Scorer, require_finite

KEYS = ["dataset", "image_id", "finding", "kind"]
TYPES = {"hit": "int8", "chance": "float32", "cnr": "float32", "miou": "float32", "size": "float32"}


@dataclass(frozen=True, eq=False)
class Pointed:
    """One finding of one image: where it is and where the model points."""

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

    findings: list[str]
    """Grounded findings, in the order of ``texts``."""
    texts: TextFeatures
    by_image: dict[str, list[Region]]
    tolerance: float
    """Of the pointing game, pixels of the original."""

    @classmethod
    def of(
        cls, scorer: Scorer, regions: Sequence[Region], sentence_of: dict[str, str], tolerance: float
    ) -> Question | None:
        """Ask for every finding that some image has a region of; None where none has, or where no heatmap exists.

        Args:
            scorer: the model.
            regions: the dataset's grounding truth.
            sentence_of: finding -> its prompt.
            tolerance: see ``tolerance``.
        """
        if not regions or not scorer.model.publishes_heatmaps:
            return None
        findings = sorted({region.finding for region in regions})
        by_image: dict[str, list[Region]] = {}
        for region in regions:
            by_image.setdefault(region.image_id, []).append(region)
        return cls(findings, scorer.encode([sentence_of[finding] for finding in findings]), by_image, tolerance)


def point(
    scorer: Scorer, cohort: Cohort, place: slice, features: ImageFeatures, question: Question, what: str
) -> list[Pointed]:
    """Measure the heatmaps of one batch.

    Args:
        scorer: the model.
        cohort: the images.
        place: which of them, by position in the index, ``images`` are.
        images: their features.
        question: findings and truth.
        what: for error messages, e.g. ``carzero-0 on vindr_cxr``.

    Raises:
        UserError: a heatmap is not finite.
    """
    batch = cohort.index.iloc[place]
    grounded = [i for i, image_id in enumerate(batch["image_id"]) if image_id in question.by_image]
    if not grounded:
        return []
    own = [question.by_image[batch["image_id"].iloc[i]] for i in grounded]
    findings = [
        finding for finding in question.findings if any(r.finding == finding for regions in own for r in regions)
    ]
    device = scorer.model.device
    asked = torch.tensor([question.findings.index(finding) for finding in findings], device=device)
    maps = scorer.heatmaps(features[torch.tensor(grounded, device=device)], question.texts[asked])
    found = []
    for i, regions, of_image in zip(grounded, own, maps, strict=True):
        heatmaps = of_image[[findings.index(region.finding) for region in regions]]
        names = [f"{region.image_id}, {region.finding}" for region in regions]
        require_finite(heatmaps.reshape(len(regions), -1), f"{what}, heatmaps", names, range(heatmaps[0].size))
        height, width = int(batch["height"].iloc[i]), int(batch["width"].iloc[i])
        placement = Placement.of(height, width, cohort.images.shape[1])
        measured = grounding.measure(heatmaps, regions, placement, question.tolerance)
        for region, heatmap, result in zip(regions, heatmaps, measured, strict=True):
            found.append(Pointed(region, heatmap, int(batch.index[i]), placement, result))
    return found


def table(dataset: str, pointed: Sequence[Pointed]) -> pd.DataFrame:
    """Rows of pointing.parquet."""
    rows = [
        {"dataset": dataset, "image_id": p.region.image_id, "finding": p.region.finding, "kind": p.region.kind}
        | asdict(p.result)
        for p in pointed
    ]
    return pd.DataFrame(rows, columns=[*KEYS, *TYPES]).astype(TYPES)

"""Where the supervised reference points: class activation, its heads applied to one cell at a time.

A cell's embedding is that of an image made of this cell alone (baselines/towers/pooling.py), so what a head answers to
it is how much of the finding is seen there: class activation maps (Zhou et al., CVPR 2016, arXiv 1512.04150). The
constant of a head moves no maximum and is left out. What is measured of the maps, and against which regions, is what is
measured of every system (pointing.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.artifacts.cohort import Cohort
from benchmark.artifacts.columns import CELL
from benchmark.compute import augment
from benchmark.compute.supervised import Supervised
from benchmark.evaluation.crossfit import CrossFitted
from benchmark.evaluation.pointing import Ask, Pointed, Question, point
from benchmark.evaluation.regions import Region


@dataclass(frozen=True, eq=False)
class Head:
    """What a cell is multiplied with."""

    weight: NDArray[np.float32]
    """(heads, D): one, or one of each fold."""
    which: NDArray[np.int64]
    """(n,) which of them answers for each image of the evaluation set."""

    @classmethod
    def trained(cls, model: Supervised, output: int, images: int) -> Head:
        """The network's own head of one training label, for all images."""
        weight = model.head.weight[output].detach().float().cpu().numpy()
        return cls(weight[None], np.zeros(images, np.int64))

    @classmethod
    def cross_fitted(cls, found: CrossFitted) -> Head:
        """The head that never saw the image's patient.

        Its features are the pooled image, the mean and the maximum of the cells (labels.predict): of one cell alone,
        three times the same.
        """
        weight = found.weight.reshape(len(found.weight), 3, -1).sum(axis=1)
        return cls(weight.astype(np.float32), found.fold)


@torch.inference_mode()
def point_at(
    model: Supervised,
    cohort: Cohort,
    heads: Mapping[str, Head],
    truth: Sequence[Region],
    tolerance: float,
    batch_size: int,
    device: torch.device,
) -> list[Pointed]:
    """Measure the reference against the regions of the findings that it has a head for.

    Args:
        model: the trained network.
        cohort: the images.
        heads: finding -> its head.
        truth: the dataset's regions.
        tolerance: of the pointing game, pixels of the original.
        batch_size: images at once.
        device: where the network is.

    Raises:
        UserError: a heatmap is not finite.
    """
    question = Question.of([region for region in truth if region.finding in heads], tolerance)
    pointed: list[Pointed] = []
    for start in range(0, len(cohort.rows) if question.by_image else 0, batch_size):
        place = slice(start, min(start + batch_size, len(cohort.rows)))
        pixels = augment.to_unit(torch.from_numpy(np.ascontiguousarray(cohort.images[cohort.rows[place]])).to(device))
        features = model.tower(pixels)
        ask = _activations(features.grid.float().cpu().numpy(), features.border, heads, start)
        pointed += point(ask, cohort, place, question, f"probe on {cohort.dataset}", CELL)
    return pointed


def _activations(cells: NDArray[np.float32], border: int, heads: Mapping[str, Head], start: int) -> Ask:
    """Maps of a batch whose cells are (images, h, w, D) and whose first image is the cohort's ``start``-th."""

    def ask(images: list[int], findings: list[str]) -> NDArray[np.float32]:
        pairs = [(heads[finding], start + image) for image, finding in zip(images, findings, strict=True)]
        weights = np.stack([head.weight[head.which[image]] for head, image in pairs])
        maps: NDArray[np.float32] = np.einsum("phwd,pd->phw", cells[images], weights)
        edge = ((0, 0), (border, border), (border, border))
        return np.pad(maps, edge, constant_values=maps.min()) if border else maps

    return ask

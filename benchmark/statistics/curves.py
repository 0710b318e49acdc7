"""Points for the figures: ROC curves on a common grid, and histograms of normality scores.

Scores of two seeds have different scales, so ROC curves are averaged at equal false-positive rates and
histograms are drawn in standard deviations of the validation split.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.artifacts.columns import NORMALITY_SCORES
from benchmark.statistics.auc import Floats
from benchmark.statistics.bootstrap import Draws

GRID = np.linspace(0, 1, 101)
BINS = np.linspace(-4, 4, 41)
BAND_REPLICATES = 200
"""Of a ROC curve's band: it is looked at, no test rests on it."""


def roc(normal: NDArray, scores: NDArray, weights: NDArray | None = None) -> Floats:
    """Sensitivity (abnormals called abnormal) at each false-positive rate (normals called abnormal) of `GRID`.

    Disease is the positive class, as in operating.csv, though the score ranks normality. Ties are one step, between
    steps the curve is a straight line.

    Args:
        normal: (n,) 1 normal, 0 abnormal, NaN unknown.
        scores: (n,) normality, higher = more normal.
        weights: (n, R) how often each image was drawn; once where None.

    Returns:
        (R, 101), or (101,) without weights; NaN where a class has no weight.
    """
    known = ~np.isnan(normal)
    order = np.argsort(scores[known], kind="stable")
    truth, ranked = normal[known][order], scores[known][order]
    drawn = np.ones((len(order), 1)) if weights is None else np.asarray(weights, float)[known][order]
    step = np.append(ranked[1:] != ranked[:-1], True)  # the last image of each score

    def called(value: int) -> Floats:
        """(steps + 1, R) share of a class that is called abnormal as the threshold rises."""
        total = np.cumsum(drawn * (truth == value)[:, None], axis=0)
        share = np.divide(total, total[-1:], out=np.full(total.shape, np.nan), where=total[-1:] > 0)
        return np.vstack([np.zeros((1, drawn.shape[1])), share[step]])

    if not len(order):
        return np.full(len(GRID), np.nan)
    curves = np.stack([np.interp(GRID, x, y) for x, y in zip(called(1).T, called(0).T, strict=True)])
    curves[np.isnan(curves).any(axis=1)] = np.nan
    return curves[0] if weights is None else curves


def roc_rows(
    dataset: str, system: str, normal: NDArray, scores: list[Floats], draws: Draws, drawn: NDArray, level: float
) -> pd.DataFrame:
    """Mean of the seeds' curves as rows of roc.csv, with a pointwise bootstrap band over patients and seeds.

    Args:
        dataset: its name.
        system: its name.
        normal: (n,) of the dataset.
        scores: of each of S seeds: normality score -> is one (n,) by the published prompt.
        draws: of the dataset's patients; the first `BAND_REPLICATES` of them are used.
        drawn: (S, R) of `draw_seeds`.
        level: of the band.
    """
    seeds, some = len(scores), slice(min(BAND_REPLICATES, draws.replicates))
    weights = draws.counts[:, some][draws.cluster]
    each = np.stack([roc(normal, score, weights) for score in scores])  # (S, R, 101)
    replicates = each.mean(axis=0)
    if seeds > 1:  # as in `bootstrap.over_seeds`
        deviation = ((drawn[:, some] - 1)[:, :, None] / seeds * each).sum(axis=0)
        replicates = np.clip(replicates + np.sqrt(seeds / (seeds - 1)) * deviation, 0, 1)
    low, high = np.nanquantile(replicates, [(1 - level) / 2, (1 + level) / 2], axis=0)
    middle = np.mean([roc(normal, score) for score in scores], axis=0)
    columns = {"dataset": dataset, "system": system, "score": NORMALITY_SCORES[0], "false_positive_rate": GRID}
    return pd.DataFrame(columns | {"sensitivity": middle, "low": low, "high": high})


def reliability_rows(dataset: str, system: str, seeds: list[tuple[Floats, Floats]]) -> pd.DataFrame:
    """Rows of reliability.csv: the mean over seeds of the reliability diagrams, as fitted and after prior correction.

    Args:
        dataset: its name.
        system: its name.
        seeds: of each seed: `reliability.diagram` of the probabilities as they are, and corrected.
    """
    frames = []
    for corrected, tables in enumerate(zip(*seeds, strict=True)):
        images, probability, positives = np.sum(tables, axis=0).T
        filled = images > 0
        frames.append(
            pd.DataFrame(
                {
                    "dataset": dataset,
                    "system": system,
                    "prior_corrected": corrected,
                    "probability": probability[filled] / images[filled],
                    "share_normal": positives[filled] / images[filled],
                    "images": images[filled] / len(seeds),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def histogram(normal: NDArray, scores: NDArray, validation: NDArray) -> Floats:
    """Share of abnormals and of normals per bin: (2, bins). Scores beyond the last bin are counted in it."""
    standard = np.clip((scores - validation.mean()) / (validation.std() or 1.0), BINS[0], BINS[-1])
    shares = np.zeros((2, len(BINS) - 1))
    for value in (0, 1):
        counts = np.histogram(standard[normal == value], BINS)[0]
        shares[value] = counts / max(counts.sum(), 1)
    return shares


def histogram_rows(dataset: str, system: str, score: str, shares: list[Floats]) -> pd.DataFrame:
    """Mean over the seeds' histograms as rows of histograms.csv."""
    averaged = np.mean(shares, axis=0)
    frames = [
        pd.DataFrame(
            {
                "dataset": dataset,
                "system": system,
                "score": score,
                "normal": value,
                "bin_low": BINS[:-1],
                "bin_high": BINS[1:],
                "share": averaged[value],
            }
        )
        for value in (0, 1)
    ]
    return pd.concat(frames, ignore_index=True)

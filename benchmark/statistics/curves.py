"""Points for the figures: ROC curves on a common grid, and histograms of normality scores.

Scores of two seeds have different scales, so ROC curves are averaged at equal false-negative rates and
histograms are drawn in standard deviations of the validation split.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.statistics.auc import Floats

GRID = np.linspace(0, 1, 101)
BINS = np.linspace(-4, 4, 41)


def roc(normal: NDArray, scores: NDArray) -> Floats:
    """Specificity (normals called normal) at each false-negative rate (abnormals called normal) of `GRID`; (101,).

    NaN without both classes. Disease is the positive class, as in operating.csv, though the score ranks normality.
    """
    from sklearn.metrics import roc_curve

    known = ~np.isnan(normal)
    if len(np.unique(normal[known])) < 2:
        return np.full(len(GRID), np.nan)
    false, true, _ = roc_curve(normal[known], scores[known], drop_intermediate=False)
    rates = np.interp(GRID, false, true)
    rates[0] = 0.0
    return rates


def roc_rows(dataset: str, system: str, score: str, curves: list[Floats]) -> pd.DataFrame:
    """Mean, least and greatest of the seeds' curves as rows of roc.csv."""
    stacked = np.stack(curves)
    return pd.DataFrame(
        {
            "dataset": dataset,
            "system": system,
            "score": score,
            "false_negative_rate": GRID,
            "specificity": stacked.mean(axis=0),
            "low": stacked.min(axis=0),
            "high": stacked.max(axis=0),
        }
    )


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

"""Area under the ROC curve, exactly, with ties and weights: once, per replicate, and per observation.

AUC = P(positive scores above negative) + P(tie) / 2, the Mann-Whitney form. The bootstrap needs it for
thousands of weightings of one column; `Ranking` sorts the column once, after which a replicate is one
sum over buckets. The rarer class cuts the score axis, so a rare finding costs almost nothing.
Source: Hanley & McNeil (1982); placements as in DeLong et al. (1988).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmark.errors import UserError

Floats = NDArray[np.float64]


def validated(labels: NDArray, scores: NDArray, column: str = "scores") -> tuple[Floats, Floats]:
    """Check one column and return it as float64.

    Args:
        labels: (n,) of 0, 1 or NaN (unknown: the row takes no part).
        scores: (n,) finite numbers wherever the label is known.
        column: the name used in a complaint.

    Raises:
        UserError: shapes disagree, a label is not 0/1, or a score is not finite; names row and column.
    """
    labels = np.asarray(labels, dtype=np.float64)
    scores = np.asarray(scores, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise UserError(f"column '{column}': expected one score per label, found {scores.shape} and {labels.shape}.")
    known = ~np.isnan(labels)
    if (wrong := known & (labels != 0) & (labels != 1)).any():
        row = int(np.flatnonzero(wrong)[0])
        raise UserError(f"column '{column}', row {row}: expected label 0, 1 or empty, found {labels[row]:g}.")
    if (wrong := known & ~np.isfinite(scores)).any():
        row = int(np.flatnonzero(wrong)[0])
        raise UserError(f"column '{column}', row {row}: expected a finite score, found {scores[row]}; score it again.")
    return labels, scores


@dataclass(frozen=True)
class Ranking:
    """One column, sorted once.

    The distinct scores v_0 < ... < v_(u-1) of the rarer class cut the axis into 2u + 1 buckets of the other
    class: below v_0, tied with v_0, between v_0 and v_1, ... ``sums @ weights`` gives the weight in each
    bucket and, in the last u rows, the rarer class's own weight at each v.
    """

    sums: sparse.csr_array
    """(3u + 1, n) of ones, float32: exact for total weights below 2**24."""
    cuts: int
    """u."""
    positives_are_rarer: bool

    @classmethod
    def of(cls, labels: NDArray, scores: NDArray, column: str = "scores") -> Ranking:
        """Sort a column. See `validated` for the arguments and what is raised."""
        labels, scores = validated(labels, scores, column)
        known = ~np.isnan(labels)
        positives_are_rarer = bool(np.sum(labels == 1) * 2 <= known.sum())
        rarer = labels == (1 if positives_are_rarer else 0)
        cuts = np.unique(scores[rarer])
        left = np.searchsorted(cuts, scores, side="left")
        tied = np.append(cuts, np.nan)[left] == scores
        rows = np.where(rarer, 2 * len(cuts) + 1 + left, 2 * left + tied)
        columns = np.flatnonzero(known)
        columns = columns[np.argsort(rows[columns], kind="stable")]
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows[known], minlength=3 * len(cuts) + 1))])
        matrix = sparse.csr_array(
            (np.ones(len(columns), np.float32), columns.astype(np.int32), starts.astype(np.int32)),
            shape=(3 * len(cuts) + 1, len(labels)),
        )
        return cls(matrix, len(cuts), positives_are_rarer)

    def auc(self, weights: NDArray[np.float32]) -> Floats:
        """AUC under each of many weightings.

        Args:
            weights: (n, R) float32, C-contiguous, whole numbers (how often an observation was drawn).

        Returns:
            (R,) float64; NaN where a class has no weight.
        """
        sums = (self.sums @ weights).astype(np.float64)  # (3u + 1, R)
        other, own = sums[: 2 * self.cuts + 1], sums[2 * self.cuts + 1 :]
        total = np.einsum("ur->r", own) * np.einsum("ur->r", other)
        tied = other[1::2]
        below = np.cumsum(other[0:-1:2], axis=0)
        below[1:] += np.cumsum(tied[:-1], axis=0)
        wins = np.einsum("ur,ur->r", own, below) + 0.5 * np.einsum("ur,ur->r", own, tied)
        share = np.divide(wins, total, out=np.full(len(total), np.nan), where=total > 0)
        return share if self.positives_are_rarer else 1 - share


def auc(labels: NDArray, scores: NDArray, weights: NDArray | None = None) -> float:
    """Area under the ROC curve of one column.

    Args:
        labels: (n,) of 0, 1 or NaN (unknown).
        scores: (n,) float; higher means more positive.
        weights: (n,) whole numbers >= 0; all ones where None.

    Returns:
        The AUC in [0, 1], or NaN where a class is absent.
    """
    chosen = np.ones(len(labels)) if weights is None else np.asarray(weights)
    return float(Ranking.of(labels, scores).auc(np.ascontiguousarray(chosen[:, None], np.float32))[0])


def placements(labels: NDArray, scores: NDArray, column: str = "scores") -> Floats:
    """Share of the other class that each observation outranks (ties a half): DeLong's components.

    Args:
        labels: (n,) of 0, 1 or NaN.
        scores: (n,) float.
        column: the name used in a complaint.

    Returns:
        (n,) float64: for a positive the share of negatives below it, for a negative the share of
        positives above it; NaN for an unknown label. Each class's mean is the AUC.
    """
    labels, scores = validated(labels, scores, column)
    result = np.full(len(labels), np.nan)
    for value, sign in ((1, 1.0), (0, -1.0)):
        own, other = sign * scores[labels == value], np.sort(sign * scores[labels == 1 - value])
        if len(other):
            ranks = np.searchsorted(other, own, "left") + np.searchsorted(other, own, "right")
            result[labels == value] = ranks / (2 * len(other))
    return result

"""Area under the ROC curve, exactly, with ties and weights: once, per replicate, and per observation.

AUC = P(positive scores above negative) + P(tie) / 2, the Mann-Whitney form. The bootstrap needs it for
thousands of weightings of one column; `Ranking` sorts the column once, after which a replicate is a running sum
over buckets. The rarer class cuts the score axis, so a rare finding costs little.
Source: Hanley & McNeil (1982); placements as in DeLong et al. (1988).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.common.errors import UserError
from benchmark.statistics.buckets import Buckets, Counts

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

    The distinct scores v_0 < ... < v_(u-1) of the rarer class cut the axis. Bucket k of the other class holds what the
    running sum gains from v_(k-1) to v_k, such that up to v_k it is twice the weight below v_k plus the weight tied
    with it; the last bucket (u) completes twice the total. Doubling keeps the halves of ties whole numbers.
    """

    rarer: Buckets
    """Weight of the rarer class at v_k; float32 is exact for total weights below 2**23."""
    other: Buckets
    positives_are_rarer: bool

    @classmethod
    def of(
        cls, labels: NDArray, scores: NDArray, column: str = "scores", cluster: NDArray[np.int64] | None = None
    ) -> Ranking:
        """Sort a column. See `validated` for the first three arguments and what is raised.

        Args:
            labels: (n,).
            scores: (n,).
            column: the name used in a complaint.
            cluster: (n,) 0 .. C - 1: whose weight each observation has; its own where None.
        """
        labels, scores = validated(labels, scores, column)
        cluster = np.arange(len(labels)) if cluster is None else cluster
        known = ~np.isnan(labels)
        positives_are_rarer = bool(np.sum(labels == 1) * 2 <= known.sum())
        rarer = np.flatnonzero(labels == (1 if positives_are_rarer else 0))
        other = np.flatnonzero(labels == (0 if positives_are_rarer else 1))
        cuts, rank = np.unique(scores[rarer], return_inverse=True)
        left = np.searchsorted(cuts, scores[other], side="left")
        right = np.searchsorted(cuts, scores[other], side="right")
        shape = (len(cuts) + 1, int(cluster.max(initial=-1)) + 1)
        return cls(
            Buckets.of(rank, cluster[rarer], *shape),
            Buckets.of(np.concatenate([left, right]), np.tile(cluster[other], 2), *shape),
            positives_are_rarer,
        )

    def auc(self, weights: Counts) -> Floats:
        """AUC under each of many weightings.

        Args:
            weights: (C, R) float32, C-contiguous, whole numbers (how often a cluster was drawn).

        Returns:
            (R,) float64; NaN where a class has no weight.
        """
        own, beaten = self.rarer.sums(weights), self.other.running(weights)
        wins = np.einsum("kr,kr->r", own, beaten, dtype=np.float64)  # both doubled: the quotient is the same number
        total = np.multiply(own.sum(axis=0), beaten[-1], dtype=np.float64)
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

"""Numbers beside the AUC: average precision, and how far probabilities can be trusted (Brier score, ECE).

Similarities are no probabilities. Platt's sigmoid, fitted on the validation split, makes them so; the test
set then says whether the probabilities hold. The positive class is normal.
Sources: Platt (1999), with his smoothed targets; Brier (1950); Guo et al. (2017), 15 equal-width bins.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

from benchmark.statistics.auc import Floats, validated
from benchmark.statistics.bootstrap import Draws, Resampled, resampled_ratios
from benchmark.statistics.buckets import Buckets, Counts

BINS = 15


def platt(labels: NDArray, scores: NDArray) -> Callable[[NDArray], Floats]:
    """Fit score -> probability of label 1.

    Args:
        labels: (n,) of 0, 1 or NaN (unknown), both classes present.
        scores: (n,) finite.

    Returns:
        A function from scores to probabilities.
    """
    from sklearn.linear_model import LogisticRegression

    labels, scores = validated(labels, scores)
    known = ~np.isnan(labels)
    labels, scores = labels[known], scores[known]
    centre, spread = scores.mean(), scores.std() or 1.0
    positives, negatives = np.sum(labels == 1), np.sum(labels == 0)
    target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    standard = ((scores - centre) / spread)[:, None]
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    model.fit(
        np.concatenate([standard, standard]),
        np.repeat([1, 0], len(target)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    return lambda values: model.predict_proba(((np.asarray(values) - centre) / spread)[:, None])[:, 1]


def prior_corrected(probabilities: NDArray, fitted: float, here: float) -> Floats:
    """Probabilities for another share of positives: the log odds move by the difference of the two shares'.

    A diagnostic that looks at the evaluation labels: what is left after it is not the shift of prevalence
    (Saerens, Latinne & Decaestecker 2002).

    Args:
        probabilities: (n,).
        fitted: the share of positives where they were fitted.
        here: that of the dataset in question. Where either share is 0 or 1 nothing is changed.
    """
    if not (0 < fitted < 1 and 0 < here < 1):
        return np.asarray(probabilities, float)
    return special.expit(special.logit(probabilities) + special.logit(here) - special.logit(fitted))


def brier_of_base_rate(labels: NDArray, draws: Draws) -> Resampled:
    """The Brier score of who knows nothing but the share p of positives: p (1 - p)."""
    known = ~np.isnan(labels)
    share = resampled_ratios(np.nan_to_num(labels)[:, None], known[:, None], draws)[0]
    p = share.estimate
    return Resampled(p * (1 - p), share.replicates * (1 - share.replicates), share.influence * (1 - 2 * p))


def diagram(labels: NDArray, probabilities: NDArray) -> NDArray[np.float64]:
    """(BINS, 3) of a reliability diagram: images, sum of probabilities, positives in each bin of the known labels."""
    known = ~np.isnan(labels)
    bins = np.minimum((np.asarray(probabilities)[known] * BINS).astype(int), BINS - 1)
    columns = (np.ones(known.sum()), np.asarray(probabilities)[known], labels[known])
    return np.stack([np.bincount(bins, weights=column, minlength=BINS) for column in columns], axis=1)


def brier(labels: NDArray, probabilities: NDArray, draws: Draws) -> Resampled:
    """Mean squared difference between probability and outcome over the known labels."""
    known = ~np.isnan(labels)
    error = np.where(known, (np.nan_to_num(labels) - probabilities) ** 2, 0.0)
    return resampled_ratios(error[:, None], known[:, None], draws)[0]


def expected_calibration_error(labels: NDArray, probabilities: NDArray, draws: Draws) -> Resampled:
    """Mean over images of |mean probability - share of positives| of their bin.

    It overstates: an absolute value of noise is positive, in the sample as in its replicates.
    """
    known = ~np.isnan(labels)
    bins = np.minimum((np.asarray(probabilities) * BINS).astype(int), BINS - 1)
    gap = np.where(known, probabilities - np.nan_to_num(labels), 0.0)
    per_bin = np.stack([draws.per_cluster(np.where(bins == k, gap, 0.0)) for k in range(BINS)])  # (bins, C)
    size = draws.per_cluster(known)
    total = draws.resampled_sums(size)
    replicates = np.abs(draws.resampled_sums(per_bin)).sum(axis=0) / np.where(total > 0, total, np.nan)
    estimate = np.abs(per_bin.sum(axis=1)).sum() / size.sum() if size.sum() else np.nan
    return Resampled(float(estimate), replicates, np.empty(0))


def average_precision(labels: NDArray, scores: NDArray, draws: Draws) -> Resampled:
    """Area under the precision-recall steps, equal scores taken as one step (scikit-learn's definition)."""
    labels, scores = validated(labels, scores)
    cuts, rank = np.unique(-scores[labels == 1], return_inverse=True)
    known = np.flatnonzero(~np.isnan(labels))
    shape = (len(cuts) + 1, draws.clusters)
    # The curve rises at the scores of positives alone: a bucket is what such a score calls beyond the one above it.
    called = Buckets.of(np.searchsorted(cuts, -scores[known]), draws.cluster[known], *shape)
    positive = Buckets.of(rank, draws.cluster[labels == 1], *shape)

    def weighted(weights: Counts) -> Floats:
        """(C, R) weights -> (R,)."""
        gained, found, drawn = positive.sums(weights), positive.running(weights), called.running(weights)
        precision = np.divide(found, drawn, out=np.zeros(found.shape), where=drawn > 0, dtype=np.float64)
        total = gained.sum(axis=0)
        area = np.einsum("kr,kr->r", gained, precision)
        return np.divide(area, total, out=np.full(len(total), np.nan), where=total > 0)

    replicates = np.concatenate([weighted(weights) for _, weights in draws.blocks()])
    estimate = float(weighted(np.ones((draws.clusters, 1), np.float32))[0])
    return Resampled(estimate, replicates, np.empty(0))

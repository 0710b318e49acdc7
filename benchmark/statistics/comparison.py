"""Is one system better than another? p-values of paired differences, and Holm's correction over a family.

Sources: Davison & Hinkley (1997) for bootstrap p-values by inverting an interval; DeLong, DeLong &
Clarke-Pearson (1988) as a cross-check where a cluster is one image; Holm (1979).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmark.statistics.auc import Floats, placements
from benchmark.statistics.bootstrap import Resampled
from benchmark.statistics.intervals import NO_SPREAD, Form, Range, degrees_of_freedom, distance


def bootstrap_p(difference: Resampled, form: Form, within: Range | None = None) -> float:
    """Two-sided p-value of "the difference is 0" from the paired bootstrap, by inverting the interval's form.

    logit: Student's t with the standard error of patients and seeds. Else twice the rarer sign's share of the
    replicates, (count + 1) / (R + 1), a replicate of exactly 0 counting for both signs. Two identical
    systems have p = 1; a difference that is the same in every replicate (one patient) cannot be tested: NaN.

    Args:
        difference: a - b.
        form: of its interval.
        within: its range, symmetric about 0; None where it has no bounds.
    """
    values = difference.replicates[~np.isnan(difference.replicates)]
    if len(values) < 2:
        return float("nan")
    if np.ptp(values) < NO_SPREAD:
        return 1.0 if abs(difference.estimate) < NO_SPREAD else float("nan")
    if form == "logit":
        return float(2 * stats.t.sf(abs(distance(difference, within)), degrees_of_freedom(difference)))
    rarer = min(np.sum(values <= 0), np.sum(values >= 0))
    return float(min(1.0, 2 * (rarer + 1) / (len(values) + 1)))


def delong_p(labels: NDArray, scores_a: NDArray, scores_b: NDArray) -> float:
    """Two-sided DeLong p-value of equal AUCs on the same independent observations.

    Several seeds of a system: the mean of their AUCs is compared, given these seeds.

    Args:
        labels: (n,) of 0, 1 or NaN (unknown).
        scores_a: (S, n) scores of one system's seeds.
        scores_b: (S', n) of the other's.

    Returns:
        p; 1 where the two rank alike, NaN where a class has fewer than two observations or nothing varies.
    """
    sides = [np.mean([placements(labels, row) for row in rows], axis=0) for rows in (scores_a, scores_b)]
    difference = sides[0] - sides[1]
    variance, estimate = 0.0, 0.0
    for value in (0, 1):
        own = difference[labels == value]
        if len(own) < 2:
            return float("nan")
        variance += own.var(ddof=1) / len(own)
        estimate = float(own.mean())
    if variance == 0:
        return 1.0 if estimate == 0 else float("nan")
    return float(2 * stats.norm.sf(abs(estimate) / np.sqrt(variance)))


def holm(p_values: Floats) -> Floats:
    """Holm's step-down adjusted p-values of one family; NaN (a test that could not be made) stays out."""
    adjusted = np.full(len(p_values), np.nan)
    tested = np.flatnonzero(~np.isnan(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted

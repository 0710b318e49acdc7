"""From a resampled statistic to a confidence interval, in the form that the settings choose.

`percentile`: quantiles of the replicates. `bca`: quantiles shifted for bias and skewness, the acceleration
from the infinitesimal jackknife, since a true jackknife would need one AUC per patient. `logit`: the bootstrap's
standard error with Student's t, on the log-odds scale for a share, on its own scale for a difference; its degrees
of freedom know how few positives, patients or training seeds carry the variance. Which of them keeps its promise
is measured by `benchmark.statistics.coverage`. Where no replicate differs from another the bootstrap knows nothing:
a rate of 0 or 1 has the exact binomial interval over its patients, anything else none.
Sources: Efron (1987) for bca; Qin & Hotilovac (2008) for the logit form of the AUC; Satterthwaite (1946) and
Lipsitz, Ibrahim & Parzen (1999) for degrees of freedom from influences; Clopper & Pearson (1934) for rates of 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special, stats

from benchmark.statistics.auc import Floats
from benchmark.statistics.bootstrap import Resampled

Form = Literal["percentile", "logit", "bca"]
NO_SPREAD = 1e-12
"""Replicates nearer together than this differ by rounding alone."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval and in how many replicates the statistic was undefined."""

    low: float
    high: float
    undefined: int


def interval(statistic: Resampled, form: Form, level: float, share: bool = True) -> Interval:
    """Confidence interval of a statistic.

    Args:
        statistic: estimate, replicates and influences.
        form: percentile, logit or bca.
        level: e.g. 0.95.
        share: True for a number in [0, 1]; False for a difference or another unbounded number.

    Returns:
        Bounds, NaN where fewer than two replicates are defined, or none differs from another (but for a rate of
        0 or 1).
    """
    values = statistic.replicates[~np.isnan(statistic.replicates)]
    undefined = len(statistic.replicates) - len(values)
    if len(values) < 2 or np.isnan(statistic.estimate):
        return Interval(np.nan, np.nan, undefined)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if np.ptp(values) < NO_SPREAD:
        low, high = _clopper_pearson(statistic.estimate, statistic.trials, tails) if share else (np.nan, np.nan)
    elif form == "logit":
        low, high = _student(statistic, values, tails, share and 0 < statistic.estimate < 1)
    elif form == "bca" and len(statistic.influence):
        low, high = np.quantile(values, _bca_levels(statistic, values, tails))
    else:
        low, high = np.quantile(values, tails)
    return Interval(float(low), float(high), undefined)


def _clopper_pearson(estimate: float, trials: int, tails: Floats) -> tuple[float, float]:
    """The exact interval of a share of 0 or 1 among so many independent trials; NaN for any other."""
    if not trials or estimate not in (0.0, 1.0):
        return np.nan, np.nan
    bound = tails[0] ** (1 / trials)
    return (bound, 1.0) if estimate else (0.0, 1 - bound)


def degrees_of_freedom(statistic: Resampled) -> float:
    """Degrees of freedom of the bootstrap variance, after Satterthwaite.

    Patients: 2 V^2 / Var(V) with V the sum of squared influences, so that ten positives among thousands count
    as about ten. Seeds: S - 1. The two are weighted by the variance that each carries; infinite where no
    influence is known.
    """
    squares = statistic.influence**2
    spread = np.sum(squares**2) - squares.sum() ** 2 / max(len(squares), 1)
    patients = 2 * squares.sum() ** 2 / spread if spread > 0 else np.inf
    if len(statistic.seed_influence) < 2:
        return max(1.0, float(patients))
    of_seeds = np.sum(statistic.seed_influence**2)
    total = max(np.nanvar(statistic.replicates, ddof=1), of_seeds)
    if total == 0:
        return np.inf
    of_patients = total - of_seeds
    parts = of_patients**2 / patients + of_seeds**2 / (len(statistic.seed_influence) - 1)
    return max(1.0, float(total**2 / parts))


def _student(statistic: Resampled, values: Floats, tails: Floats, log_odds: bool) -> Floats:
    """Student's t around the estimate, on the log-odds scale by the delta method where asked."""
    width = stats.t.ppf(tails, degrees_of_freedom(statistic)) * values.std(ddof=1)
    if not log_odds:
        return statistic.estimate + width
    slope = statistic.estimate * (1 - statistic.estimate)
    return special.expit(special.logit(statistic.estimate) + width / slope)


def _bca_levels(statistic: Resampled, values: Floats, tails: Floats) -> Floats:
    """The percentile levels of bca: bias from the replicates below the estimate, skewness from the influences."""
    below = np.mean(values < statistic.estimate) + np.mean(values == statistic.estimate) / 2
    bias = stats.norm.ppf(np.clip(below, 1 / (len(values) + 1), len(values) / (len(values) + 1)))
    spread = np.sum(statistic.influence**2)
    skew = np.sum(statistic.influence**3) / (6 * spread**1.5) if spread > 0 else 0.0
    shifted = bias + stats.norm.ppf(tails)
    return stats.norm.cdf(bias + shifted / (1 - skew * shifted))

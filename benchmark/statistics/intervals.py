"""From a resampled statistic to a confidence interval, in the form that the settings choose.

`percentile`: quantiles of the replicates. `bca`: quantiles shifted for bias and skewness, the acceleration
from the infinitesimal jackknife, since a true jackknife would need one AUC per patient. `logit`: normal on
the log-odds scale, for shares near 0 or 1; a number that is no share (a difference) has no log-odds and takes
percentiles, which is what its bootstrap p-value inverts. Which of them keeps its promise is measured by
`benchmark.statistics.calibrate`.
Source: Efron (1987) for bca; Qin & Hotilovac (2008) for the logit form of the AUC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special, stats

from benchmark.statistics.auc import Floats
from benchmark.statistics.bootstrap import Resampled

Form = Literal["percentile", "logit", "bca"]


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
        Bounds, NaN where fewer than two replicates are defined.
    """
    values = statistic.replicates[~np.isnan(statistic.replicates)]
    undefined = len(statistic.replicates) - len(values)
    if len(values) < 2 or np.isnan(statistic.estimate):
        return Interval(np.nan, np.nan, undefined)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if form == "logit" and share and 0 < statistic.estimate < 1:
        low, high = _logit(statistic.estimate, values, tails)
    elif form == "bca" and len(statistic.influence):
        low, high = np.quantile(values, _bca_levels(statistic, values, tails))
    else:
        low, high = np.quantile(values, tails)
    return Interval(float(low), float(high), undefined)


def _logit(estimate: float, values: Floats, tails: Floats) -> Floats:
    """Normal on the log-odds scale, the standard error by the delta method."""
    error = values.std(ddof=1) / (estimate * (1 - estimate))
    return special.expit(special.logit(estimate) + stats.norm.ppf(tails) * error)


def _bca_levels(statistic: Resampled, values: Floats, tails: Floats) -> Floats:
    """The percentile levels of bca: bias from the replicates below the estimate, skewness from the influences."""
    below = np.mean(values < statistic.estimate) + np.mean(values == statistic.estimate) / 2
    bias = stats.norm.ppf(np.clip(below, 1 / (len(values) + 1), len(values) / (len(values) + 1)))
    spread = np.sum(statistic.influence**2)
    skew = np.sum(statistic.influence**3) / (6 * spread**1.5) if spread > 0 else 0.0
    shifted = bias + stats.norm.ppf(tails)
    return stats.norm.cdf(bias + shifted / (1 - skew * shifted))

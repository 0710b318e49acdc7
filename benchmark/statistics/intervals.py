"""From a resampled statistic to a confidence interval, in the form that the settings choose.

`percentile`: quantiles of the replicates. `bca`: quantiles shifted for bias and skewness, the acceleration
from the infinitesimal jackknife, since a true jackknife would need one AUC per patient. `logit`: the standard error
of the bootstrap over patients and of the training seeds (seeds.py) with Student's t, on the log-odds scale of where
the number lies in its range, so that no bound leaves it; its degrees of freedom know how few positives, patients
or training seeds carry the variance. Which of them keeps its promise is measured by
`benchmark.statistics.coverage`. Where no replicate differs from another the bootstrap knows nothing: a rate of 0 or 1
has the exact binomial interval over its patients, anything else none.
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
Range = tuple[float, float]
"""The least and the greatest value that a number can have."""
SHARE: Range = (0.0, 1.0)
DIFFERENCE: Range = (-1.0, 1.0)
"""Of two shares."""
NO_SPREAD = 1e-12
"""Replicates nearer together than this differ by rounding alone."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval and in how many replicates the statistic was undefined."""

    low: float
    high: float
    undefined: int


def interval(statistic: Resampled, form: Form, level: float, within: Range | None = SHARE) -> Interval:
    """Confidence interval of a statistic.

    Args:
        statistic: estimate, replicates and influences.
        form: percentile, logit or bca.
        level: e.g. 0.95.
        within: the range of the number; None where it has no bounds.

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
        low, high = (np.nan, np.nan)
        if within == SHARE:
            low, high = _clopper_pearson(statistic.estimate, statistic.trials, tails)
    elif form == "logit":
        low, high = _student(statistic, tails, within)
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
    """Degrees of freedom of `standard_error`, after Satterthwaite.

    Patients: 2 V^2 / Var(V) with V the sum of squared influences, so that ten positives among thousands count
    as about ten. Seeds: those of the layout of all systems. The two are weighted by the variance that each carries;
    infinite where no influence is known.
    """
    squares = statistic.influence**2
    spread = np.sum(squares**2) - squares.sum() ** 2 / max(len(squares), 1)
    patients = 2 * squares.sum() ** 2 / spread if spread > 0 else np.inf
    if not statistic.seeds.variance:
        return max(1.0, float(patients))
    total = statistic.patients + statistic.seeds.variance
    parts = statistic.patients**2 / patients + statistic.seeds.variance**2 / statistic.seeds.freedom
    return max(1.0, float(total**2 / parts)) if parts > 0 else np.inf


def standard_error(statistic: Resampled) -> float:
    """The standard error from patients and training seeds."""
    return float(np.sqrt(statistic.patients + statistic.seeds.variance))


def _student(statistic: Resampled, tails: Floats, within: Range | None) -> Floats:
    """Student's t around the estimate, on the log-odds scale by the delta method where there is a range."""
    width = stats.t.ppf(tails, degrees_of_freedom(statistic)) * standard_error(statistic)
    if within is None or not within[0] < statistic.estimate < within[1]:
        return statistic.estimate + width
    least, span = within[0], within[1] - within[0]
    place = (statistic.estimate - least) / span
    return least + span * special.expit(special.logit(place) + width / span / (place * (1 - place)))


def lower_bound(share: float, influence: Floats, level: float) -> float:
    """The lower bound of a share's logit interval by the variance of its influences alone, without a replicate."""
    if not 0 < share < 1:
        return share
    width = stats.norm.ppf((1 + level) / 2) * np.linalg.norm(influence) / (share * (1 - share))
    return float(special.expit(special.logit(share) - width))


POWER = 0.8


def detectable(difference: Resampled, level: float) -> float:
    """The smallest true difference that a test at 1 - level finds with 80 % power, given this standard error."""
    freedom = degrees_of_freedom(difference)
    return float((stats.t.ppf((1 + level) / 2, freedom) + stats.t.ppf(POWER, freedom)) * standard_error(difference))


def distance(difference: Resampled, within: Range | None) -> float:
    """How many standard errors a difference lies from 0, on the scale of its interval."""
    if within is None or not within[0] < difference.estimate < within[1]:
        return difference.estimate / standard_error(difference)
    place = (difference.estimate - within[0]) / (within[1] - within[0])
    scaled = special.logit(place) * place * (1 - place) * (within[1] - within[0])
    return float(scaled / standard_error(difference))


def _bca_levels(statistic: Resampled, values: Floats, tails: Floats) -> Floats:
    """The percentile levels of bca: bias from the replicates below the estimate, skewness from the influences."""
    below = np.mean(values < statistic.estimate) + np.mean(values == statistic.estimate) / 2
    bias = stats.norm.ppf(np.clip(below, 1 / (len(values) + 1), len(values) / (len(values) + 1)))
    spread = np.sum(statistic.influence**2)
    skew = np.sum(statistic.influence**3) / (6 * spread**1.5) if spread > 0 else 0.0
    shifted = bias + stats.norm.ppf(tails)
    return stats.norm.cdf(bias + shifted / (1 - skew * shifted))

"""Patients are resampled, all their images with them, and every number sees the same draws.

`draw` makes the multiplicities of each patient once per dataset. A statistic becomes a `Resampled`: its
estimate, its value in each replicate and each patient's influence on it. Sums, differences and means of
`Resampled` are again `Resampled`, replicate by replicate, so that every comparison is paired; they are taken
within a training seed, and `over_seeds` comes last.
Sources: Field & Welsh (2007) for the cluster bootstrap; Efron (1982) for the infinitesimal jackknife;
Obuchowski (1997) for the clustered AUC; what training seeds add is told in seeds.py.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from benchmark.common.errors import UserError
from benchmark.statistics.auc import Floats, Ranking, placements
from benchmark.statistics.buckets import Counts
from benchmark.statistics.seeds import SeedVariance

AT_ONCE = 2**20
"""Weights per pass: 4 MB of float32 stay in the processor's cache, be it many patients or many replicates."""

ONE_SEED = SeedVariance()
"""What a statistic of one training has of seeds: nothing."""

DRAWN_AT_ONCE = 1_000_000
"""Clusters drawn per call of the generator: few calls for small cohorts, little memory for large ones."""


@dataclass(frozen=True)
class Draws:
    """How often each cluster was drawn in each replicate."""

    counts: NDArray[np.uint16]
    """(C, R)."""
    cluster: NDArray[np.int64]
    """(n,) cluster of each observation, 0 .. C - 1."""

    @property
    def replicates(self) -> int:
        """R."""
        return self.counts.shape[1]

    @property
    def clusters(self) -> int:
        """C."""
        return self.counts.shape[0]

    def blocks(self) -> Iterator[tuple[slice, Counts]]:
        """The replicates some at a time: which, and their (C, block) counts in float32."""
        size = max(16, AT_ONCE // self.clusters)
        for start in range(0, self.replicates, size):
            block = slice(start, start + size)
            yield block, self.counts[:, block].astype(np.float32, order="C")

    def per_cluster(self, values: NDArray) -> Floats:
        """Sum a value of each observation over its cluster: (n,) -> (C,)."""
        return np.bincount(self.cluster, weights=np.asarray(values, float), minlength=self.clusters).astype(np.float64)

    def resampled_sums(self, totals: Floats) -> Floats:
        """Sum of totals of each cluster over the clusters drawn: (K, C) -> (K, R)."""
        return np.asarray(totals @ self._exact)

    @cached_property
    def _exact(self) -> Floats:
        """The counts in the type of what they multiply: many sums share the conversion."""
        return self.counts.astype(np.float64)


def draw(clusters: ArrayLike, replicates: int, seed: int, name: str = "") -> Draws:
    """Draw clusters with replacement, as many as there are, for each replicate.

    Args:
        clusters: (n,) identifier of each observation's cluster (its patient).
        replicates: R.
        seed: of the settings; the draws depend on it, on ``name`` and on the clusters alone.
        name: the dataset's name, so that two datasets do not share a stream.

    Raises:
        UserError: there is no observation.
    """
    names, cluster = np.unique(np.asarray(clusters).astype(str), return_inverse=True)
    if not len(names):
        raise UserError(f"dataset '{name}': expected at least one image to resample, found none.")
    generator = np.random.default_rng([seed, zlib.crc32(name.encode())])
    counts = np.zeros((len(names), replicates), np.uint16)
    step = max(1, DRAWN_AT_ONCE // len(names))
    for start in range(0, replicates, step):
        rows = np.arange(min(step, replicates - start))[:, None]
        drawn = generator.integers(0, len(names), (len(rows), len(names))) + rows * len(names)
        multiplicity = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        counts[:, start : start + len(rows)] = multiplicity.T
    return Draws(counts, cluster.reshape(-1))


@dataclass(frozen=True)
class Resampled:
    """A statistic with all that an interval needs. NaN in a replicate: undefined there (a class vanished)."""

    estimate: float
    replicates: Floats
    """(R,)."""
    influence: Floats
    """(C,) derivative of the statistic by each cluster's weight; the sum of squares estimates its variance.
    Empty where none is known."""
    trials: int = 0
    """Clusters that a rate of yes or no rests on, for the interval of a rate of 0 or 1; 0 for anything else."""
    shared: float | None = None
    """Of a mean over training seeds: the patients' variance that all seeds have in common; else None."""
    seeds: SeedVariance = ONE_SEED
    """Of a mean over training seeds: what they add, each seed's own errors on the patients included."""

    @property
    def patients(self) -> float:
        """The variance that patients carry beside `seeds`: that of the replicates where there is but one seed."""
        return float(np.nanvar(self.replicates, ddof=1)) if self.shared is None else self.shared

    def __add__(self, other: Resampled) -> Resampled:
        return Resampled(
            self.estimate + other.estimate,
            self.replicates + other.replicates,
            self.influence + other.influence,
        )

    def __mul__(self, factor: float) -> Resampled:
        return Resampled(self.estimate * factor, self.replicates * factor, self.influence * factor)

    def __sub__(self, other: Resampled) -> Resampled:
        return self + other * -1.0


def mean(parts: Sequence[Resampled]) -> Resampled:
    """Mean of statistics of the same observations, e.g. the macro over findings.

    A replicate in which one part is undefined takes the mean of the others; the count of such
    replicates is the business of whoever lists the parts.
    """
    replicates = np.stack([part.replicates for part in parts])
    defined = ~np.isnan(replicates)
    count = defined.sum(axis=0)
    total = np.where(defined, replicates, 0.0).sum(axis=0)
    return Resampled(
        float(np.mean([part.estimate for part in parts])),
        np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0),
        np.mean([part.influence for part in parts], axis=0),
        # The parts share clusters: as many as the part with the most has, there are at least.
        trials=max(part.trials for part in parts) if all(part.trials for part in parts) else 0,
    )


def least(parts: Sequence[Resampled]) -> Resampled:
    """The least of statistics of the same observations, in each replicate the least there.

    Chance makes the least of several smaller than the truth, in the sample as in its replicates.
    """
    first = int(np.argmin([part.estimate for part in parts]))
    replicates = np.fmin.reduce([part.replicates for part in parts])
    return Resampled(parts[first].estimate, replicates, parts[first].influence)


def mean_of_independent(parts: Sequence[Resampled], seeds: SeedVariance = ONE_SEED) -> Resampled:
    """Mean of statistics of different observations, e.g. over datasets: patients are drawn apart, seeds together.

    Args:
        parts: a statistic of each dataset.
        seeds: what training seeds add to the mean; nothing for statistics of one seed.
    """
    several = all(part.shared is not None for part in parts)
    return Resampled(
        float(np.mean([part.estimate for part in parts])),
        np.mean([part.replicates for part in parts], axis=0),
        np.concatenate([part.influence for part in parts]) / len(parts),
        shared=sum(part.patients for part in parts) / len(parts) ** 2 if several else None,
        seeds=seeds,
    )


def draw_seeds(seeds: int, replicates: int, seed: int) -> NDArray[np.int64]:
    """How often each training seed is drawn in each replicate: (S, R), shared by all systems."""
    generator = np.random.default_rng([seed, zlib.crc32(b"training seeds")])
    return generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=replicates).T


def over_seeds(parts: Sequence[Resampled], drawn: NDArray[np.int64], seeds: SeedVariance) -> Resampled:
    """Mean over training seeds, with patients and seeds as two crossed levels.

    The seeds' spread holds each seed's own errors on the patients already; counting these among the patients' too
    would count them twice. So the patients' share is the mean covariance between the replicates of different seeds
    (Obuchowski & Rockette 1995), and ``seeds`` is the rest. The replicates resample both levels for the forms that
    take quantiles: few seeds make the plain bootstrap of their mean too narrow by (S - 1) / S in variance, so the
    deviations are rescaled by sqrt(S / (S - 1)) (Rao & Wu 1988, m = n).

    Args:
        parts: the statistic of each of S seeds, on the same patients and draws.
        drawn: (S, R) of `draw_seeds`.
        seeds: of `SeedLayout.of_mean`.
    """
    count = len(parts)
    patients = mean(parts)
    if count == 1:
        return patients
    values = np.stack([part.replicates for part in parts])  # (S, R)
    scale = np.sqrt(count / (count - 1))
    deviation = scale * ((drawn - 1) / count * values).sum(axis=0)
    defined = values[:, ~np.isnan(values).any(axis=0)]
    covariance = np.cov(defined) if defined.shape[1] > 1 else np.zeros((count, count))
    between = (covariance.sum() - np.trace(covariance)) / (count * (count - 1))
    return Resampled(
        patients.estimate,
        patients.replicates + deviation,
        patients.influence,
        patients.trials,
        shared=max(0.0, float(between)),
        seeds=seeds,
    )


def resampled_aucs(
    labels: NDArray, scores: NDArray, draws: Draws, names: Sequence[str] | None = None
) -> list[Resampled]:
    """AUC of each column with its replicates and influences.

    Args:
        labels: (n, K) of 0, 1 or NaN (unknown).
        scores: (n, K) float.
        draws: of the n observations.
        names: the columns' names, for complaints.

    Returns:
        K statistics; the estimate is NaN where a class is absent.

    Raises:
        UserError: shapes disagree, or a value is wrong; the sentence names row and column.
    """
    labels, scores = np.asarray(labels, float), np.asarray(scores)
    if labels.shape != scores.shape or labels.ndim != 2 or len(labels) != len(draws.cluster):
        raise UserError(
            f"expected labels and scores of {len(draws.cluster)} images, found {labels.shape} and {scores.shape}."
        )
    names = names or [str(column) for column in range(labels.shape[1])]
    rankings = [Ranking.of(labels[:, k], scores[:, k], names[k], draws.cluster) for k in range(labels.shape[1])]
    replicates = np.empty((len(rankings), draws.replicates))
    for block, weights in draws.blocks():
        for k, ranking in enumerate(rankings):
            replicates[k, block] = ranking.auc(weights)
    once = np.ones((draws.clusters, 1), np.float32)
    return [
        Resampled(float(ranking.auc(once)[0]), replicates[k], _auc_influence(labels[:, k], scores[:, k], draws))
        for k, ranking in enumerate(rankings)
    ]


def auc_with_influence(labels: NDArray, scores: NDArray, draws: Draws) -> tuple[float, Floats]:
    """AUC of one column, (n,) each, and each cluster's influence on it, (C,), without a replicate."""
    values = placements(labels, scores)
    return float(np.mean(values[labels == 1])), _auc_influence(labels, scores, draws)


def _auc_influence(labels: NDArray, scores: NDArray, draws: Draws) -> Floats:
    """(C,) derivative of the AUC by cluster weight: (placement - AUC) / class size, summed over the cluster."""
    values = placements(labels, scores)
    result = np.zeros(len(labels))
    for value in (0, 1):
        chosen = labels == value
        if chosen.any():
            result[chosen] = (values[chosen] - values[chosen].mean()) / chosen.sum()
    return draws.per_cluster(np.nan_to_num(result))


def resampled_ratios(numerators: NDArray, denominators: NDArray, draws: Draws) -> list[Resampled]:
    """sum(w * numerator) / sum(w * denominator) of each column: rates and means over a subset.

    Args:
        numerators: (n, K), 0 where the observation does not count.
        denominators: (n, K), 1 where the observation counts (or any weight), else 0.
        draws: of the n observations.
    """
    top = np.stack([draws.per_cluster(column) for column in np.asarray(numerators, float).T])  # (K, C)
    bottom = np.stack([draws.per_cluster(column) for column in np.asarray(denominators, float).T])
    upper, lower = draws.resampled_sums(top), draws.resampled_sums(bottom)
    replicates = np.divide(upper, lower, out=np.full(upper.shape, np.nan), where=lower > 0)
    total = bottom.sum(axis=1)
    estimates = np.divide(top.sum(axis=1), total, out=np.full(len(total), np.nan), where=total > 0)
    scale = np.where(total > 0, total, np.nan)
    influence = (top - np.nan_to_num(estimates)[:, None] * bottom) / scale[:, None]
    counted = ((top == top.round()) & (bottom == bottom.round()) & (top >= 0) & (top <= bottom)).all(axis=1)
    trials = np.where(counted, (bottom > 0).sum(axis=1), 0)
    return [
        Resampled(float(estimate), values, np.nan_to_num(parts), trials=int(number))
        for estimate, values, parts, number in zip(estimates, replicates, influence, trials, strict=True)
    ]

"""How much a number varies with the training seed, learnt from all systems that were trained under the budget.

Two or three seeds say little about their own spread: Student's t with one or two degrees of freedom finds next to
nothing, and a Satterthwaite mixture with so few calls equal systems different too often. But every system trains with
the same seeds, so seeds are blocks and systems are treatments of a two-way layout, as readers and modalities are in a
multi-reader study. Its residual says what a difference of two systems varies by, with about (T - 1)(S - 1) degrees of
freedom for T systems. Systems are no readers drawn at random: those that are alike react alike to a seed and its
pretrained start. So the spread of the pair's own difference counts as well: moderated toward the residual by a prior
that weighs `PRIOR` observations, as a system's own residual variance is where one system is measured. Systems that
start from random weights vary far more than those that start from a pretrained tower, so each start is taken by
itself; and there one system's sign may be a matter of the seed while another's is not, so each has its own variance
alone (`APART`). `benchmark.statistics.coverage` compares this form with others.
Sources: Obuchowski & Rockette (1995) and Hillis (2007) for the layout; Smyth (2004) for the moderated variance; Welch
(1947) for variances apart; Satterthwaite (1946) for the degrees of freedom of a sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from benchmark.statistics.auc import Floats

PRIOR = 3.0
"""Degrees of freedom that the pooled variance weighs against a system's own; chosen in the coverage study."""
APART = ("scratch",)
"""Starts from which systems differ so much in spread that none may borrow another's: Welch's form."""
EXACT = 1e-9
"""A degree of freedom below this is rounding."""


@dataclass(frozen=True)
class SeedVariance:
    """The variance that training seeds give to a mean over them, and its degrees of freedom."""

    variance: float = 0.0
    freedom: float = np.inf


@dataclass(frozen=True)
class SeedLayout:
    """The spread of one quantity over training seeds in every system of one start."""

    moderated: Mapping[str, float]
    """System -> variance between seeds that is its own (beside what a seed does to all systems alike)."""
    freedom: Mapping[str, float]
    """System -> degrees of freedom of its moderated variance."""
    pooled: float
    """The residual variance of the layout; 0 where nothing is left to estimate it."""
    pooled_freedom: float
    shared: float
    """Variance of what a seed does to all systems alike; it leaves no trace in a difference."""
    shared_freedom: float
    estimates: Mapping[tuple[str, int], float] = field(default_factory=dict)
    """What the layout was fitted to; empty where systems borrow nothing from another."""

    @classmethod
    def of(cls, estimates: Mapping[tuple[str, int], float]) -> SeedLayout:
        """Fit the additive layout, systems + seeds, by least squares; systems may lack seeds.

        Args:
            estimates: (system, seed) -> the quantity; a NaN takes no part.
        """
        known = {pair: value for pair, value in estimates.items() if not np.isnan(value)}
        values = np.array(list(known.values()))
        names = np.array([system for system, _ in known])
        systems = list(dict.fromkeys(system for system, _ in known))
        residual_of, left = _fit(tuple(known))
        squares = (residual_of @ values) ** 2
        freedom = float(left.sum())
        pooled = float(squares.sum() / freedom) if freedom > EXACT else 0.0
        moderated, own_freedom, within, counts = {}, {}, 0.0, []
        for system in systems:
            mine = names == system
            weight = PRIOR + left[mine].sum()
            moderated[system] = float((PRIOR * pooled + squares[mine].sum()) / weight)
            own_freedom[system] = min(weight, freedom)
            within += float(values[mine].var() * mine.sum())
            counts.append(int(mine.sum()))
        within_freedom = sum(counts) - len(counts)
        shared = max(0.0, within / within_freedom - pooled) if within_freedom else 0.0
        return cls(moderated, own_freedom, pooled, freedom, shared, max(counts, default=1) - 1, known)

    @classmethod
    def apart(cls, estimates: Mapping[tuple[str, int], float]) -> SeedLayout:
        """Every system has the variance of its own seeds alone, what they share with other systems included."""
        each: dict[str, list[float]] = {}
        for (system, _), value in estimates.items():
            if not np.isnan(value):
                each.setdefault(system, []).append(value)
        own = {name: float(np.var(values, ddof=1)) if len(values) > 1 else 0.0 for name, values in each.items()}
        return cls(own, {name: len(values) - 1.0 for name, values in each.items()}, 0.0, np.inf, 0.0, 0.0)

    def of_mean(self, coefficients: Mapping[str, float], seeds: int) -> SeedVariance:
        """The variance of sum_t c_t (mean of system t over its seeds).

        Args:
            coefficients: system -> c_t; they sum to 0 for a difference, and one system alone has 1.
            seeds: how many seeds each mean is taken over.
        """
        if seeds < 2:
            return SeedVariance()
        level = sum(coefficients.values()) ** 2
        if not level and self.estimates:
            return self._of_contrast(coefficients, seeds)
        parts = [(c**2 * self.moderated[name], self.freedom[name]) for name, c in coefficients.items()]
        total = level * self.shared + sum(variance for variance, _ in parts)
        spread = sum(variance**2 / freedom for variance, freedom in parts if freedom > EXACT)
        if level * self.shared > 0:
            # The seeds' mean square estimates the shared part plus a T-th of the residual.
            spread += (level * (self.shared + self.pooled / len(self.moderated))) ** 2 / self.shared_freedom
        return SeedVariance(total / seeds, total**2 / spread if spread > 0 else np.inf)

    def _of_contrast(self, coefficients: Mapping[str, float], seeds: int) -> SeedVariance:
        """That of a contrast: its own spread over the seeds, moderated toward what the residual variance expects.

        Systems may react alike to a seed's start; what a pair has in common, or a pair of two kinds has not, shows in
        the spread of its own difference and in no variance of a system.
        """
        common = set.intersection(*({seed for name, seed in self.estimates if name == one} for one in coefficients))
        each = [[c * self.estimates[name, seed] for name, c in coefficients.items()] for seed in sorted(common)]
        values = np.array([sum(parts) for parts in each])
        own = max(0, len(values) - 1)
        squares = float(((values - values.mean()) ** 2).sum()) if own else 0.0
        expected = self.pooled * sum(c**2 for c in coefficients.values())
        variance = (PRIOR * expected + squares) / (PRIOR + own)
        # It rests on the residual: no more degrees of freedom than that has.
        return SeedVariance(variance / seeds, min(PRIOR + own, self.pooled_freedom) if variance else np.inf)


@dataclass(frozen=True)
class SeedLayouts:
    """The spread of one quantity over training seeds in every system, a layout a start."""

    starts: tuple[SeedLayout, ...]

    @classmethod
    def of(cls, estimates: Mapping[tuple[str, int], float], starts: Mapping[str, str] | None = None) -> SeedLayouts:
        """Fit a layout to the systems of each start.

        Args:
            estimates: (system, seed) -> the quantity.
            starts: system -> where it starts; None or missing: all from the same.
        """
        named = starts or {}
        groups: dict[str, dict[tuple[str, int], float]] = {}
        for pair, value in estimates.items():
            groups.setdefault(named.get(pair[0], ""), {})[pair] = value
        fitted = (SeedLayout.apart if start in APART else SeedLayout.of for start in groups)
        return cls(tuple(fit(group) for fit, group in zip(fitted, groups.values(), strict=True)))

    def of_mean(self, coefficients: Mapping[str, float], seeds: int) -> SeedVariance:
        """The variance of sum_t c_t (mean of system t over its seeds); that of different starts adds.

        Args:
            coefficients: system -> c_t; they sum to 0 for a difference, and one system alone has 1.
            seeds: how many seeds each mean is taken over.
        """
        parts = [
            layout.of_mean(mine, seeds)
            for layout in self.starts
            if (mine := {name: c for name, c in coefficients.items() if name in layout.moderated})
        ]
        if len(parts) == 1:
            return parts[0]
        total = sum(part.variance for part in parts)
        spread = sum(part.variance**2 / part.freedom for part in parts if part.variance)
        return SeedVariance(total, total**2 / spread if spread > 0 else np.inf)


@lru_cache(maxsize=64)
def _fit(pairs: tuple[tuple[str, int], ...]) -> tuple[Floats, Floats]:
    """What turns values into residuals of the additive layout, (N, N), and each value's degrees of freedom, (N,)."""
    systems, seeds = (sorted({pair[k] for pair in pairs}, key=str) for k in (0, 1))
    design = np.zeros((len(pairs), len(systems) + len(seeds)))
    for row, (system, seed) in enumerate(pairs):
        design[row, systems.index(system)] = design[row, len(systems) + seeds.index(seed)] = 1
    residual_of = np.eye(len(pairs)) - design @ np.linalg.pinv(design)
    left = np.diagonal(residual_of).copy()
    left[left < EXACT] = 0.0
    return residual_of, left

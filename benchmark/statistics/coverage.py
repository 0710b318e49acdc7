"""``python -m benchmark coverage``: do the intervals and tests keep their promises?

Studies with a known AUC are simulated (binormal scores, so that the truth is a formula), measured exactly as
real ones are, and counted: how often the 95 % interval covers the truth, how often two equal systems are
called different, how often a true difference is found. What training seeds do is studied in seed_coverage.py.
The table is kept beside this module (coverage.csv), copied to results/ by `measure` and printed in the report.
Source: Metz & Kronman (1980) for binormal ROC curves.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from benchmark.common import files
from benchmark.common.progress import say, with_progress
from benchmark.statistics import seed_coverage
from benchmark.statistics.auc import Floats, auc
from benchmark.statistics.bootstrap import Resampled, draw, draw_seeds, over_seeds, resampled_aucs
from benchmark.statistics.comparison import bootstrap_p
from benchmark.statistics.intervals import DIFFERENCE, Form, interval
from benchmark.statistics.seeds import SeedLayout

TABLE = Path(__file__).with_name("coverage.csv")
COLUMNS = ["check", "setting", "form", "value", "low", "high", "simulations", "met"]
COVERAGE, REJECTIONS = (0.93, 0.97), 0.06
CAUTIOUS = 0.98
"""Most that an interval of a difference over few seeds may cover: wider where no two systems react to a seed alike, to
hold where families of them do."""
REPLICATES, LEAST_POSITIVES = 500, 10


@dataclass(frozen=True)
class Scenario:
    """A simulated study."""

    name: str
    images: int = 500
    prevalence: float = 0.3
    auc: float = 0.8
    per_patient: int = 1
    levels: int = 0
    """Scores are cut into so many levels (ties); 0 = continuous."""
    seeds: int = 1
    seed_sd: float = 0.0
    """Spread of the systems' separation over training seeds, in standard deviations of a score."""
    required: bool = True
    """False: shown beside the others as a limit of the method, with no promise made."""

    @property
    def separation(self) -> float:
        """Distance of the classes' means that gives ``auc``."""
        return float(np.sqrt(2) * stats.norm.ppf(self.auc))

    def edges(self) -> Floats:
        """The inner cut points of the levels."""
        return np.linspace(-1.5, 1.5 + self.separation, self.levels - 1)

    def truth(self) -> float:
        """The AUC that the interval must cover."""
        if self.levels:
            negative, positive = (
                np.diff(np.concatenate([[0], stats.norm.cdf(self.edges() - mean), [1]]))
                for mean in (0, self.separation)
            )
            return float(positive @ (np.cumsum(negative) - negative / 2))
        return float(stats.norm.cdf(self.separation / np.sqrt(2 + self.seed_sd**2)))


COVERED = (
    Scenario("rare label (1,000 images, 2 % positive)", 1000, 0.02),
    Scenario("two images a patient", 1000, 0.2, per_patient=2),
    Scenario("five tied levels", levels=5),
    Scenario("500 images", auc=0.75),
    Scenario("AUC 0.95", prevalence=0.2, auc=0.95),
    Scenario("three training seeds", seeds=3, seed_sd=0.25),
    Scenario("limit: 2 % positive and AUC 0.95", 1000, 0.02, auc=0.95, required=False),
)
EQUAL = (
    Scenario("500 images"),
    Scenario("two images a patient", 1000, 0.2, per_patient=2),
    Scenario("rare label (1,000 images, 2 % positive)", 1000, 0.02),
    Scenario("three training seeds", seeds=3, seed_sd=0.25),
)
POWER = Scenario("900 images, half normal, scores correlated 0.5, AUC 0.80", 900, 0.5)
DIFFERENCES = (0.01, 0.02, 0.03, 0.04, 0.06)


@dataclass(frozen=True)
class Measured:
    """A simulated study, measured."""

    groups: list[list[Resampled]]
    """Each system's statistic, for each training seed."""
    layout: SeedLayout
    drawn: NDArray[np.int64]

    def system(self, k: int) -> Resampled:
        """A system's mean over its seeds."""
        return over_seeds(self.groups[k], self.drawn, self.layout.of_mean({str(k): 1.0}, len(self.drawn)))

    def difference(self) -> Resampled:
        """The second system minus the first."""
        parts = [b - a for a, b in zip(*self.groups, strict=True)]
        return over_seeds(parts, self.drawn, self.layout.of_mean({"1": 1.0, "0": -1.0}, len(self.drawn)))


def simulate(scenario: Scenario, separations: tuple[float, ...], seed: int) -> Measured:
    """One study measured, all systems on shared draws.

    Args:
        scenario: the study.
        separations: each system's true distance of the classes' means.
        seed: of this study.

    """
    generator = np.random.default_rng([seed, zlib.crc32(scenario.name.encode())])
    patient = np.arange(scenario.images) // scenario.per_patient
    labels = np.zeros(scenario.images)
    while not LEAST_POSITIVES <= labels.sum() <= scenario.images - LEAST_POSITIVES:
        shared = (generator.random(patient[-1] + 1) < scenario.prevalence)[patient]
        own = generator.random(scenario.images) < scenario.prevalence
        labels = np.where(generator.random(scenario.images) < 0.7, shared, own).astype(float)
    # An image's difficulty is half patient (where a patient has several), half image; every system sees it.
    difficulty = generator.normal(size=scenario.images)
    if scenario.per_patient > 1:
        difficulty = (difficulty + generator.normal(size=patient[-1] + 1)[patient]) / np.sqrt(2)
    draws = draw(patient, REPLICATES, seed, scenario.name)

    def scored(separation: float) -> list[Floats]:
        """A system's scores, for each training seed."""
        columns = []
        for shift in generator.normal(0, scenario.seed_sd, scenario.seeds):
            noise = (difficulty + generator.normal(size=scenario.images)) / np.sqrt(2)
            columns.append(noise + (separation + shift) * labels)
        return columns

    scores = np.stack([column for separation in separations for column in scored(separation)], axis=1)
    if scenario.levels:
        scores = np.digitize(scores, scenario.edges()).astype(float)
    found = resampled_aucs(np.repeat(labels[:, None], scores.shape[1], axis=1), scores, draws)
    groups = [found[k : k + scenario.seeds] for k in range(0, len(found), scenario.seeds)]
    estimates = {(str(k), s): one.estimate for k, group in enumerate(groups) for s, one in enumerate(group)}
    if scenario.seeds > 1:  # the other systems that were trained: of them the estimates alone are needed
        for k in range(len(groups), seed_coverage.SYSTEMS):
            columns = scored(separations[0])
            estimates |= {(str(k), s): auc(labels, column) for s, column in enumerate(columns)}
    return Measured(groups, SeedLayout.of(estimates), draw_seeds(scenario.seeds, REPLICATES, seed))


def _row(check: str, setting: str, form: str, hits: int, simulations: int, met: bool | None) -> dict[str, object]:
    """A share with its Wilson interval."""
    wilson = stats.binomtest(hits, simulations).proportion_ci(method="wilson")
    kept = "" if met is None else str(met).lower()
    return dict(
        zip(
            COLUMNS, [check, setting, form, hits / simulations, wilson.low, wilson.high, simulations, kept], strict=True
        )
    )


def coverage(scenario: Scenario, simulations: int) -> list[dict[str, object]]:
    """Share of studies whose 95 % interval covers the truth, for each form."""
    hits = dict.fromkeys(get_args(Form), 0)
    for seed in with_progress(range(simulations), f"coverage, {scenario.name}"):
        statistic = simulate(scenario, (scenario.separation,), seed).system(0)
        for form in hits:
            found = interval(statistic, form, 0.95)
            hits[form] += found.low <= scenario.truth() <= found.high
    low, high = COVERAGE
    return [
        _row("coverage", scenario.name, form, count, simulations, low <= count / simulations <= high)
        for form, count in hits.items()
    ]


def rejections(
    check: str, scenario: Scenario, second: float, simulations: int, verdict: Callable[[float], bool | None]
) -> list[dict[str, object]]:
    """Share of studies in which the paired test at 5 % distinguishes two systems.

    Args:
        check: ``rejection`` or ``power``.
        scenario: the study; the first system has its AUC.
        second: the second system's AUC.
        simulations: how many studies.
        verdict: share -> is the promise kept; None where none was made.
    """
    separations = (scenario.separation, replace(scenario, auc=second).separation)
    hits = dict.fromkeys(("percentile", "logit"), 0)
    name = scenario.name if check == "rejection" else f"{scenario.name}, difference {second - scenario.auc:.2f}"
    for seed in with_progress(range(simulations), f"{check}, {name}"):
        difference = simulate(scenario, separations, seed).difference()
        for form in hits:
            hits[form] += bootstrap_p(difference, form, DIFFERENCE) < 0.05  # type: ignore[arg-type]
    return [_row(check, name, form, n, simulations, verdict(n / simulations)) for form, n in hits.items()]


def _met(one: seed_coverage.Count, simulations: int) -> bool | None:
    """Is the promise kept? None where none was made."""
    share = one.hits / simulations
    if not one.required or one.check.startswith("power"):
        return None
    if one.check == "rejection":
        return share <= REJECTIONS
    return COVERAGE[0] <= share <= (CAUTIOUS if one.check == "coverage" else COVERAGE[1])


def checks(simulations: int) -> Iterator[list[dict[str, object]]]:
    """Every check in turn; the power curve takes a quarter of the simulations."""
    seeded = (seed_coverage.DESIGNS, seed_coverage.FAMILIES, seed_coverage.SCRATCH, seed_coverage.LIMITS)
    for design in chain(*seeded):
        yield [
            _row(one.check, one.setting, one.form, one.hits, simulations, _met(one, simulations))
            for one in seed_coverage.count(design, simulations)
        ]
    for scenario in COVERED:
        yield coverage(scenario, simulations)
    for scenario in EQUAL:
        yield rejections("rejection", scenario, scenario.auc, simulations, lambda share: share <= REJECTIONS)
    for difference in DIFFERENCES:
        yield rejections("power", POWER, POWER.auc + difference, max(simulations // 4, 1), lambda share: None)


def kept() -> pd.DataFrame:
    """The table of the last study; no rows where none was run."""
    return pd.read_csv(TABLE, keep_default_na=False) if TABLE.exists() else pd.DataFrame(columns=COLUMNS)


def run(simulations: int = 1000, keep: bool = False) -> None:
    """Simulate, print the table and keep it beside this module, rewritten after each check.

    Args:
        simulations: studies per setting.
        keep: keep it even where the table that is there, which reports print, rests on more studies.
    """
    largest = kept()["simulations"].max()
    smaller = not keep and largest > simulations
    rows: list[dict[str, object]] = []
    for found in checks(simulations):
        rows += found
        if not smaller:
            files.write_csv(TABLE, pd.DataFrame(rows, columns=COLUMNS).round(6))
    say(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    if smaller:
        say(f"not kept: {TABLE.name} rests on {largest} studies per setting (--keep replaces it)")

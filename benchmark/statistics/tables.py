"""From resampled statistics to the rows of results/: intervals, seeds, paired differences.

A row of one seed has an interval over patients; a row `all` is the mean over seeds with patients and seeds
resampled, the seeds' standard deviation beside it. A difference uses the seeds that both systems have.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from benchmark.artifacts.columns import OVERALL
from benchmark.artifacts.run import Run
from benchmark.artifacts.select import NOT_ESTIMABLE, is_inverted
from benchmark.common import files
from benchmark.pipeline import layout
from benchmark.pipeline.effects import Effect, Interaction, Sides
from benchmark.pipeline.settings import StatisticsSettings
from benchmark.statistics.bootstrap import Resampled, draw_seeds, mean_of_independent, over_seeds
from benchmark.statistics.comparison import bootstrap_p
from benchmark.statistics.intervals import SHARE, Range, detectable, interval
from benchmark.statistics.quantities import Measured, Measurements, Quantity
from benchmark.statistics.seeds import SeedLayouts

Row = dict[str, object]
RANKINGS = ("auc", "subgroups")
"""Tables whose numbers are AUCs."""


def bounds(
    statistic: Resampled, chosen: StatisticsSettings, within: Range | None, seeds: int, ranking: bool = False
) -> Row:
    """estimate, low, high and note of a statistic.

    Args:
        statistic: the number.
        chosen: the settings' statistics.
        within: its range, None where it has none. An interval of more than half of it says nothing and is left out.
        seeds: how many training seeds it is a mean over.
        ranking: True for an AUC, whose inversion is noted.
    """
    found = interval(statistic, chosen.interval, chosen.level, within)
    notes = []
    if within and found.high - found.low > (within[1] - within[0]) / 2:
        found = replace(found, low=np.nan, high=np.nan)
        notes.append(f"{NOT_ESTIMABLE} ({seeds} seed{'s' if seeds > 1 else ''})")
    if ranking and is_inverted(found.high):
        notes.append("inverted")
    if found.undefined:
        notes.append(f"{found.undefined} undefined replicate{'s' if found.undefined > 1 else ''}")
    elif np.isnan(found.low) and not np.isnan(statistic.estimate):
        notes.append("no interval")
    return {"estimate": statistic.estimate, "low": found.low, "high": found.high, "note": "; ".join(notes)}


def combined(
    statistics: list[Resampled], coefficients: Mapping[str, float], seeds: SeedLayouts, chosen: StatisticsSettings
) -> tuple[Resampled, Row]:
    """Mean over seeds as a statistic, and its count and spread.

    Args:
        statistics: of each seed.
        coefficients: how each system enters them, e.g. ``{"offclip": 1, "carzero": -1}``.
        seeds: the quantity in all systems and seeds.
        chosen: the settings' statistics.
    """
    drawn = draw_seeds(len(statistics), len(statistics[0].replicates), chosen.seed)
    statistic = over_seeds(statistics, drawn, seeds.of_mean(coefficients, len(statistics)))
    return statistic, _spread([one.estimate for one in statistics])


def _spread(estimates: Sequence[float]) -> Row:
    return {"seeds": len(estimates), "seed_sd": float(np.std(estimates, ddof=1)) if len(estimates) > 1 else np.nan}


def seed_layouts(
    measured: Mapping[tuple[str, int], Measurements], starts: Mapping[str, str] | None = None
) -> dict[Quantity, SeedLayouts]:
    """How each quantity varies over the training seeds of all systems.

    Args:
        measured: (system, seed) -> its measurements on one dataset, or on their mean.
        starts: system -> where it starts: those of one start share a layout.
    """
    keys = dict.fromkeys(key for one in measured.values() for key in one)
    return {
        key: SeedLayouts.of({pair: one[key].statistic.estimate for pair, one in measured.items() if key in one}, starts)
        for key in keys
    }


def hashes(runs: Iterable[Run], dataset: str) -> Row:
    """What a row was made from; several runs' weights and code, or all datasets' cohorts, share one hash."""
    cards = [run.card for run in runs]
    cohorts = cards[0]["cohort_hash"]

    def shared(each: list[str]) -> str:
        return each[0] if len(set(each)) == 1 else files.sha256_json(each)

    return {
        "cohort_hash": files.sha256_json(cohorts) if dataset == OVERALL else cohorts[dataset],
        "prompts_hash": cards[0]["prompts_hash"],
        "weights_hash": shared([card["weights_hash"] for card in cards]),
        "code_hash": shared([card["code_hash"] for card in cards]),
    }


def over_datasets(each: Sequence[Measurements]) -> Measurements:
    """The plain mean of every quantity that all datasets have, each dataset with its own patients.

    Args:
        each: one run's measurements on each dataset; a threshold is the same on all, as it was fitted elsewhere.
    """
    result: Measurements = {}
    for key in each[0]:
        parts = [one[key] for one in each if key in one]
        if len(parts) == len(each):
            statistic = mean_of_independent([part.statistic for part in parts])
            n, positives = sum(part.n or 0 for part in parts), sum(part.positives or 0 for part in parts)
            chances = [part.chance for part in parts if part.chance is not None]
            chance = float(np.mean(chances)) if len(chances) == len(parts) else None
            kind = "+".join(sorted({part.kind for part in parts if part.kind}))
            result[key] = replace(parts[0], statistic=statistic, n=n, positives=positives, chance=chance, kind=kind)
    return result


def of_system(
    runs: dict[Run, Measurements], dataset: str, seeds: Mapping[Quantity, SeedLayouts], chosen: StatisticsSettings
) -> dict[str, list[Row]]:
    """Rows of one system on one dataset, per table.

    Args:
        runs: the system's runs, each with all its measurements.
        dataset: the dataset's name, or `overall`.
        seeds: of `seed_layouts`.
        chosen: the settings' statistics.
    """
    rows: dict[str, list[Row]] = {"auc": [], "operating": [], "grounding": [], "subgroups": []}
    for key in next(iter(runs.values())):
        parts = [(run, measured[key]) for run, measured in runs.items() if key in measured]
        for run, part in parts:
            row = bounds(part.statistic, chosen, part.within, 1, key.table in RANKINGS)
            row |= {"seed": run.seed, "seeds": 1, "threshold": part.threshold} | hashes([run], dataset)
            rows[key.table].append(named(key, part, dataset, run.system) | row)
        run, part = parts[0]
        statistic, spread = combined([part.statistic for _, part in parts], {run.system: 1.0}, seeds[key], chosen)
        row = bounds(statistic, chosen, part.within, len(parts), key.table in RANKINGS)
        row |= {"seed": "all"} | spread | hashes([run for run, _ in parts], dataset)
        rows[key.table].append(named(key, part, dataset, run.system) | row)
    return rows


def named(key: Quantity, part: Measured, dataset: str, system: str) -> Row:
    """The columns that name a row and count what it rests on."""
    return {
        "dataset": dataset,
        "system": system,
        "quantity": key.quantity,
        "measure": key.quantity,
        "score": key.score,
        "finding": key.finding,
        "rule": key.rule,
        "size": key.size,
        "heatmap": key.heatmap,
        "subgroup": key.subgroup,
        "level": key.level,
        "progress": key.progress,
        "n": part.n,
        "positives": part.positives,
        "chance": part.chance,
        "kind": part.kind,
    }


@dataclass(frozen=True)
class Contrast:
    """One quantity of some systems minus that of others, averaged over the seeds that all of them have."""

    quantity: Quantity
    sides: Sides
    estimates: Mapping[int, float]
    """Seed -> the contrast in it."""
    statistic: Resampled
    within: Range | None

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that all of its systems have."""
        return tuple(self.estimates)

    @property
    def systems(self) -> tuple[str, ...]:
        """Every system that enters: of a difference a - b, a and b."""
        return self.sides[0] + self.sides[1]


def contrast(
    key: Quantity,
    sides: Sides,
    measured: dict[tuple[str, int], Measurements],
    layouts: Mapping[Quantity, SeedLayouts],
    chosen: StatisticsSettings,
) -> Contrast | None:
    """The paired contrast of one quantity, or None where the systems share no seed in which all have it.

    Args:
        key: the quantity.
        sides: the systems that are added, and those that are taken away.
        measured: (system, seed) -> its measurements, all on the same draws.
        layouts: of `seed_layouts`.
        chosen: the settings' statistics.
    """
    added, removed = sides
    seeds = [
        {seed for name, seed in measured if name == system and key in measured[name, seed]}
        for system in added + removed
    ]
    common = sorted(set.intersection(*seeds))
    if not common:
        return None

    def total(systems: tuple[str, ...], seed: int) -> Resampled:
        return reduce(add, [measured[system, seed][key].statistic for system in systems])

    each = {seed: total(added, seed) - total(removed, seed) for seed in common}
    statistic, _ = combined(list(each.values()), coefficients(sides), layouts[key], chosen)
    share = measured[added[0], common[0]][key].within == SHARE
    within = (-float(len(added)), float(len(removed))) if share else None
    return Contrast(key, sides, {seed: one.estimate for seed, one in each.items()}, statistic, within)


def coefficients(sides: Sides) -> dict[str, float]:
    """System -> 1 where it is added, -1 where it is taken away."""
    return {**dict.fromkeys(sides[0], 1.0), **dict.fromkeys(sides[1], -1.0)}


def with_overall(
    found: list[tuple[str, Contrast]], layouts: Mapping[Quantity, SeedLayouts]
) -> list[tuple[str, Contrast]]:
    """Contrasts of each dataset, then `overall`: the mean of those that every dataset has.

    Args:
        found: (dataset, contrast).
        layouts: of the means over datasets (`seed_layouts`).
    """
    named: dict[tuple[Quantity, Sides], list[Contrast]] = {}
    for _, one in found:
        named.setdefault((one.quantity, one.sides), []).append(one)
    whole = [group for group in named.values() if len(group) == len(layout.EVALUATION_DATASETS)]
    return found + [(OVERALL, _mean_contrast(group, layouts[group[0].quantity])) for group in whole]


def _mean_contrast(parts: list[Contrast], layout_of_means: SeedLayouts) -> Contrast:
    first = parts[0]
    seeds = sorted(set.intersection(*(set(part.seeds) for part in parts)))
    added = layout_of_means.of_mean(coefficients(first.sides), len(seeds))
    statistic = mean_of_independent([part.statistic for part in parts], added)
    each = {seed: float(np.mean([part.estimates[seed] for part in parts])) for seed in seeds}
    return Contrast(first.quantity, first.sides, each, statistic, first.within)


def contrast_row(dataset: str, one: Contrast, runs: dict[tuple[str, int], Run], chosen: StatisticsSettings) -> Row:
    """The columns that differences.csv and effects.csv share."""
    used = [runs[system, seed] for system in one.systems for seed in one.seeds]
    row: Row = {"dataset": dataset, "quantity": one.quantity.quantity}
    row |= {"score": one.quantity.score, "rule": one.quantity.rule}
    row |= bounds(one.statistic, chosen, one.within, len(one.seeds))
    estimable = NOT_ESTIMABLE not in str(row["note"])
    p = bootstrap_p(one.statistic, chosen.interval, one.within) if estimable else np.nan
    row |= {"p": p, "detectable": np.nan if np.isnan(p) else detectable(one.statistic, chosen.level)}
    return row | _spread(list(one.estimates.values())) | hashes(used, dataset)


def effect_rows(
    named: list[Effect | Interaction],
    found: list[tuple[str, Contrast]],
    runs: dict[tuple[str, int], Run],
    chosen: StatisticsSettings,
) -> list[Row]:
    """Rows of effects.csv: of each effect and interaction, every dataset and `overall`."""
    return [
        {"kind": type(effect).__name__.lower(), "effect": effect.name}
        | {"added": "+".join(one.sides[0]), "removed": "+".join(one.sides[1])}
        | contrast_row(dataset, one, runs, chosen)
        for effect in named
        for dataset, one in found
        if one.sides == effect.sides
    ]

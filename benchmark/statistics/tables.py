"""From resampled statistics to the rows of results/: intervals, seeds, paired differences.

A row of one seed has an interval over patients; a row `all` is the mean over seeds with patients and seeds
resampled, the seeds' standard deviation beside it. A difference uses the seeds that both systems have.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from benchmark.artifacts.columns import OVERALL
from benchmark.artifacts.run import Run
from benchmark.common import files
from benchmark.pipeline import layout
from benchmark.pipeline.effects import Effect, Interaction, Sides
from benchmark.pipeline.settings import StatisticsSettings
from benchmark.statistics.bootstrap import Resampled, draw_seeds, mean_of_independent, over_seeds
from benchmark.statistics.comparison import bootstrap_p
from benchmark.statistics.intervals import interval
from benchmark.statistics.normality import is_inverted
from benchmark.statistics.quantities import Measured, Measurements, Quantity

Row = dict[str, object]


def bounds(statistic: Resampled, chosen: StatisticsSettings, share: bool, score: str = "") -> Row:
    """estimate, low, high and note of a statistic; ``score`` names a normality score, whose inversion is noted."""
    found = interval(statistic, chosen.interval, chosen.level, share)
    notes = []
    if score and is_inverted(found.high):
        notes.append("inverted")
    if found.undefined:
        notes.append(f"{found.undefined} undefined replicate{'s' if found.undefined > 1 else ''}")
    if np.isnan(found.low) and not np.isnan(statistic.estimate):
        notes.append("no interval")
    return {"estimate": statistic.estimate, "low": found.low, "high": found.high, "note": "; ".join(notes)}


def combined(statistics: list[Resampled], chosen: StatisticsSettings) -> tuple[Resampled, Row]:
    """Mean over seeds as a statistic, and its count and spread."""
    drawn = draw_seeds(len(statistics), len(statistics[0].replicates), chosen.seed)
    estimates = [statistic.estimate for statistic in statistics]
    spread = float(np.std(estimates, ddof=1)) if len(estimates) > 1 else np.nan
    return over_seeds(statistics, drawn), {"seeds": len(statistics), "seed_sd": spread}


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
            result[key] = replace(parts[0], statistic=statistic, n=n, positives=positives)
    return result


def of_system(runs: dict[Run, Measurements], dataset: str, chosen: StatisticsSettings) -> dict[str, list[Row]]:
    """Rows of one system on one dataset, per table.

    Args:
        runs: the system's runs, each with all its measurements.
        dataset: the dataset's name, or `overall`.
        chosen: the settings' statistics.
    """
    rows: dict[str, list[Row]] = {"auc": [], "operating": [], "grounding": []}
    for key in next(iter(runs.values())):
        parts = [(run, measured[key]) for run, measured in runs.items() if key in measured]
        for run, part in parts:
            row = bounds(part.statistic, chosen, part.share, key.score if key.table == "auc" else "")
            row |= {"seed": run.seed, "seeds": 1, "threshold": part.threshold} | hashes([run], dataset)
            rows[key.table].append(_named(key, part, dataset, run.system) | row)
        statistic, spread = combined([part.statistic for _, part in parts], chosen)
        run, part = parts[0]
        row = bounds(statistic, chosen, part.share, key.score if key.table == "auc" else "")
        row |= {"seed": "all"} | spread | hashes([run for run, _ in parts], dataset)
        rows[key.table].append(_named(key, part, dataset, run.system) | row)
    return rows


def _named(key: Quantity, part: Measured, dataset: str, system: str) -> Row:
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
    seeds: tuple[int, ...]
    statistic: Resampled
    spread: Row

    @property
    def systems(self) -> tuple[str, ...]:
        """Every system that enters: of a difference a - b, a and b."""
        return self.sides[0] + self.sides[1]


def contrast(
    key: Quantity, sides: Sides, measured: dict[tuple[str, int], Measurements], chosen: StatisticsSettings
) -> Contrast | None:
    """The paired contrast of one quantity, or None where the systems share no seed in which all have it.

    Args:
        key: the quantity.
        sides: the systems that are added, and those that are taken away.
        measured: (system, seed) -> its measurements, all on the same draws.
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

    statistic, spread = combined([total(added, seed) - total(removed, seed) for seed in common], chosen)
    return Contrast(key, sides, tuple(common), statistic, spread)


def with_overall(found: list[tuple[str, Contrast]]) -> list[tuple[str, Contrast]]:
    """Contrasts of each dataset, then `overall`: the mean of those that every dataset has."""
    named: dict[tuple[Quantity, Sides], list[Contrast]] = {}
    for _, one in found:
        named.setdefault((one.quantity, one.sides), []).append(one)
    whole = [group for group in named.values() if len(group) == len(layout.EVALUATION_DATASETS)]
    return found + [(OVERALL, _mean_contrast(group)) for group in whole]


def _mean_contrast(parts: list[Contrast]) -> Contrast:
    first = parts[0]
    statistic = mean_of_independent([part.statistic for part in parts])
    seeds = tuple(sorted(set.intersection(*(set(part.seeds) for part in parts))))
    # The seeds' influences are their deviations from the mean, scaled (`over_seeds`): this undoes the scale.
    spread = float(np.sqrt(len(seeds) * np.sum(statistic.seed_influence**2))) if len(seeds) > 1 else np.nan
    return Contrast(first.quantity, first.sides, seeds, statistic, {"seeds": len(seeds), "seed_sd": spread})


def contrast_row(dataset: str, one: Contrast, runs: dict[tuple[str, int], Run], chosen: StatisticsSettings) -> Row:
    """The columns that differences.csv and effects.csv share."""
    used = [runs[system, seed] for system in one.systems for seed in one.seeds]
    row: Row = {"dataset": dataset, "quantity": one.quantity.quantity}
    row |= {"score": one.quantity.score, "rule": one.quantity.rule}
    row |= {"p": bootstrap_p(one.statistic, chosen.interval)} | bounds(one.statistic, chosen, share=False)
    return row | one.spread | hashes(used, dataset)


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

"""From resampled statistics to the rows of results/: intervals, seeds, paired differences.

A row of one seed has an interval over patients; a row `all` is the mean over seeds with patients and seeds
resampled, the seeds' standard deviation beside it. A difference uses the seeds that both systems have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from benchmark import files
from benchmark.settings import StatisticsSettings
from benchmark.statistics.bootstrap import Resampled, draw_seeds, mean_of_independent, over_seeds
from benchmark.statistics.inputs import Run
from benchmark.statistics.intervals import interval
from benchmark.statistics.normality import is_inverted
from benchmark.statistics.quantities import Measured, Measurements, Quantity

Row = dict[str, object]
COLUMNS = {
    "auc": "dataset system seed quantity score finding progress estimate low high positives n seeds seed_sd note",
    "grounding": "dataset system seed finding measure size estimate low high chance n kind seeds seed_sd note",
    "operating": "dataset system seed score rule quantity estimate low high threshold n seeds seed_sd note",
    "differences": "dataset quantity score a b estimate low high p p_holm p_delong seeds seed_sd note",
    "embedding": "system seed measure estimate low high n seeds seed_sd",
    "ceiling": "dataset quantity finding estimate low high positives n visible note",
}
HASHES = ["cohort_hash", "prompts_hash", "weights_hash"]


def columns(table: str) -> list[str]:
    """The columns of a table of results/, in order."""
    hashed = table in ("auc", "grounding", "operating", "differences")
    return COLUMNS[table].split() + (HASHES if hashed else [])


def bounds(statistic: Resampled, chosen: StatisticsSettings, share: bool, score: str = "") -> Row:
    """estimate, low, high and note of a statistic; ``score`` names a normality score, whose inversion is noted."""
    found = interval(statistic, chosen.interval, chosen.level, share)
    notes = []
    if score and is_inverted(found.high):
        notes.append("inverted")
    if found.undefined:
        notes.append(f"{found.undefined} undefined replicates")
    return {"estimate": statistic.estimate, "low": found.low, "high": found.high, "note": "; ".join(notes)}


def combined(statistics: list[Resampled], chosen: StatisticsSettings) -> tuple[Resampled, Row]:
    """Mean over seeds as a statistic, and its count and spread."""
    drawn = draw_seeds(len(statistics), len(statistics[0].replicates), chosen.seed)
    estimates = [statistic.estimate for statistic in statistics]
    spread = float(np.std(estimates, ddof=1)) if len(estimates) > 1 else np.nan
    return over_seeds(statistics, drawn), {"seeds": len(statistics), "seed_sd": spread}


def hashes(runs: Iterable[Run], dataset: str | None) -> Row:
    """What a row was made from; several runs' weights, or all datasets' cohorts, share one hash."""
    runs = list(runs)
    cohorts = runs[0].cohort_hash
    weights = [run.weights_hash for run in runs]
    return {
        "cohort_hash": cohorts[dataset] if dataset else files.sha256_json(cohorts),
        "prompts_hash": runs[0].prompts_hash,
        "weights_hash": weights[0] if len(weights) == 1 else files.sha256_json(weights),
    }


def of_system(runs: dict[Run, Measurements], dataset: str, chosen: StatisticsSettings) -> dict[str, list[Row]]:
    """Rows of one system on one dataset, per table.

    Args:
        runs: the system's runs, each with all its measurements.
        dataset: the dataset's name.
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
class Difference:
    """a - b of one quantity, seed by seed averaged, with the seeds that entered."""

    quantity: Quantity
    a: str
    b: str
    seeds: tuple[int, ...]
    statistic: Resampled
    spread: Row


def difference(
    key: Quantity, a: str, b: str, measured: dict[tuple[str, int], Measurements], chosen: StatisticsSettings
) -> Difference | None:
    """The paired difference of one quantity, or None where one of the two lacks it."""
    common = sorted(
        seed for name, seed in measured if name == a and key in measured[a, seed] and key in measured.get((b, seed), {})
    )
    if not common:
        return None
    parts = [measured[a, seed][key].statistic - measured[b, seed][key].statistic for seed in common]
    statistic, spread = combined(parts, chosen)
    return Difference(key, a, b, tuple(common), statistic, spread)


def mean_difference(parts: list[Difference]) -> Difference:
    """Mean over datasets of one quantity's difference."""
    first = parts[0]
    statistic = mean_of_independent([part.statistic for part in parts])
    seeds = tuple(sorted(set.intersection(*(set(part.seeds) for part in parts))))
    return Difference(first.quantity, first.a, first.b, seeds, statistic, {"seeds": len(seeds), "seed_sd": np.nan})

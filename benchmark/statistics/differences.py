"""Which systems are compared by which quantities, what of it is declared, and the rows that come of it."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from benchmark.artifacts.columns import (
    ABNORMAL_PARTS,
    BEST,
    NORMALITY_SCORES,
    OVERALL,
    PUBLISHED,
    THRESHOLD_RULES,
    WORST,
)
from benchmark.artifacts.run import Run
from benchmark.pipeline.effects import Effect, Interaction, Sides
from benchmark.pipeline.settings import Settings, StatisticsSettings
from benchmark.statistics import operating, ranking, tables
from benchmark.statistics.comparison import delong_p, holm
from benchmark.statistics.quantities import Measurements, Quantity, Scored
from benchmark.statistics.seeds import SeedLayouts
from benchmark.statistics.tables import Contrast, Row

COMPARED = (
    *[Quantity("auc", "normal_auc", score=score) for score in (*NORMALITY_SCORES, WORST, BEST)],
    Quantity("auc", "abnormal_auc"),
    Quantity("auc", "abnormal_auc_visible"),
    *[Quantity("auc", part) for part in ABNORMAL_PARTS],
    Quantity("grounding", "pointing", size="all", heatmap=PUBLISHED),
    *[
        Quantity("operating", error, score="prompt", rule=rule)
        for rule in THRESHOLD_RULES
        for error in operating.ERRORS
    ],
)
Pair = tuple[str, int]
"""(system, seed)."""
ADJUSTED_EFFECTS = (("normal_auc", "prompt"), ("abnormal_auc", ""))
"""(quantity, score) of the effects and interactions whose p on the mean over datasets are adjusted as one family."""


def compared_pairs(
    settings: Settings, asked: list[tuple[str, str]], named: list[Effect | Interaction]
) -> list[tuple[str, str]]:
    """(a, b) of every difference: endpoints, systems and ablation rows against references, ranked, claims, effects.

    A pair is stored in one direction, that in which it is named first; readers turn it (`select.difference`).
    """
    chosen = settings.statistics
    wanted = [(one.a, one.b) for one in (chosen.primary, *chosen.secondary)]
    wanted += [(a, b) for b in chosen.references for a in settings.compare]
    wanted += [(a, b) for b in chosen.ablation_references for a in settings.ablation]
    wanted += [(a, b) for b, a in combinations(settings.scratch, 2)]
    wanted += ranking.pairs(settings)
    wanted += asked + [(one.a, one.b) for one in named if isinstance(one, Effect)]
    known = {system for system, _ in settings.runs()}
    first = {frozenset(pair): pair for pair in reversed(wanted)}
    return list(dict.fromkeys(first[frozenset(pair)] for pair in wanted if pair[0] != pair[1] and set(pair) <= known))


def declared_pairs(settings: Settings) -> list[tuple[str, str]]:
    """The pairs of the declared endpoints that were measured."""
    known = {system for system, _ in settings.runs()}
    declared = (settings.statistics.primary, *settings.statistics.secondary)
    return list(dict.fromkeys((one.a, one.b) for one in declared if {one.a, one.b} <= known))


def finding_rows(
    dataset: str,
    pairs: list[tuple[str, str]],
    measured: dict[Pair, Measurements],
    seeds: dict[Quantity, SeedLayouts],
    runs: dict[Pair, Run],
    chosen: StatisticsSettings,
) -> list[Row]:
    """Rows of finding_differences.csv: the abnormal AUC of every finding, for each declared pair on one dataset."""
    rows: list[Row] = []
    for a, b in pairs:
        for key, number in next(one for (system, _), one in measured.items() if system == a).items():
            if (key.quantity, key.progress) != ("abnormal_auc", 1.0) or not key.finding:
                continue
            if found := tables.contrast(key, ((a,), (b,)), measured, seeds, chosen):
                names: Row = {"finding": key.finding, "a": a, "b": b, "positives": number.positives}
                rows.append(names | tables.contrast_row(dataset, found, runs, chosen))
    return rows


def delong(found: Contrast, scored: dict[Pair, Scored]) -> float:
    """DeLong's p-value of a difference in normal AUC by one score where every cluster is one image, else NaN."""
    cohort = scored[found.systems[0], found.seeds[0]].cohort
    is_ranking = found.quantity.quantity == "normal_auc" and found.quantity.score in NORMALITY_SCORES
    if not is_ranking or not cohort.one_image_per_cluster or len(found.systems) != 2:
        return np.nan
    a, b = (
        np.stack([scored[system, seed].normal[found.quantity.score] for seed in found.seeds])
        for system in found.systems
    )
    return delong_p(cohort.normal, a, b)


def difference_rows(
    found: list[tuple[str, Contrast]],
    pairs: list[tuple[str, str]],
    of_delong: dict[tuple[str, Quantity, Sides], float],
    runs: dict[Pair, Run],
    settings: Settings,
) -> list[Row]:
    """Rows of differences.csv: the contrasts of the compared pairs, on each dataset, then `overall`.

    The declared family is adjusted as one: the primary and secondary endpoints on every dataset and on the mean.
    """
    rows: list[Row] = []
    tested = []
    declared = {
        (one.a, one.b, one.quantity, one.score, one.rule)
        for one in (settings.statistics.primary, *settings.statistics.secondary)
    }
    for dataset, one in found:
        if one.systems not in pairs:
            continue
        a, b = one.systems
        names: Row = {"a": a, "b": b, "p_delong": of_delong.get((dataset, one.quantity, one.sides), np.nan)}
        rows.append(names | tables.contrast_row(dataset, one, runs, settings.statistics))
        what = (one.quantity.quantity, one.quantity.score, one.quantity.rule)
        tested.append(rows[-1]["p"] if {(a, b, *what), (b, a, *what)} & declared else np.nan)
    for row, adjusted in zip(rows, holm(np.array(tested, float)), strict=True):
        row["p_holm"] = adjusted
    return rows


def adjusted(rows: list[Row]) -> list[Row]:
    """Rows of effects.csv with p adjusted over all effects and interactions of `ADJUSTED_EFFECTS` on the mean."""
    family = [
        row["p"] if row["dataset"] == OVERALL and (row["quantity"], row["score"]) in ADJUSTED_EFFECTS else np.nan
        for row in rows
    ]
    for row, value in zip(rows, holm(np.array(family, float)), strict=True):
        row["p_holm"] = value
    return rows

"""The stage `measure`: scores -> results/*.csv and summary.json, every number with its interval.

One dataset at a time: its patients are drawn once, every run is measured on the same draws, the rows are
written down, and only what the differences need is kept. Formulas: docs/statistics.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmark.artifacts.cohort import SPLITS, Cohort
from benchmark.artifacts.cohort import read as read_cohort
from benchmark.artifacts.columns import (
    COLUMNS,
    NORMALITY_SCORES,
    OVERALL,
    PRIMARY_RULES,
    PUBLISHED,
    THRESHOLD_RULES,
    columns,
)
from benchmark.artifacts.reading import read_json, read_table
from benchmark.artifacts.run import Run, check_comparable, without_absent
from benchmark.artifacts.scores import FINDING, THUMBNAIL, aligned, check_cohort, numbers
from benchmark.common import files
from benchmark.common.progress import with_progress
from benchmark.pipeline import layout
from benchmark.pipeline.effects import Effect, Interaction, Sides, effects, interactions
from benchmark.pipeline.settings import Settings, StatisticsSettings, load
from benchmark.statistics import claims, coverage, curves, embedding, operating, ranking, reference, tables
from benchmark.statistics.bootstrap import Draws, draw, mean, resampled_aucs
from benchmark.statistics.comparison import delong_p, holm
from benchmark.statistics.intervals import SHARE, interval
from benchmark.statistics.quantities import Findings, Measurements, Quantity, Scored, measurable, of_run
from benchmark.statistics.seeds import SeedLayout
from benchmark.statistics.tables import Contrast, Row

COMPARED = (
    *[Quantity("auc", "normal_auc", score=score) for score in NORMALITY_SCORES],
    Quantity("auc", "abnormal_auc"),
    Quantity("auc", "abnormal_auc_visible"),
    Quantity("grounding", "pointing", size="all", heatmap=PUBLISHED),
    *[
        Quantity("operating", error, score="prompt", rule=rule)
        for rule in THRESHOLD_RULES
        for error in operating.ERRORS
    ],
)
Pair = tuple[str, int]
"""(system, seed)."""
FAMILY = (
    Quantity("auc", "normal_auc", score="prompt"),
    Quantity("auc", "abnormal_auc"),
    Quantity("grounding", "pointing", size="all", heatmap=PUBLISHED),
)
"""The declared family of tests: these, of every compared system against the first reference, on every dataset and on
their mean. The primary endpoint is the first, on the mean over datasets."""


@dataclass
class Results:
    """The rows gathered so far, per table."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    frames: dict[str, list[pd.DataFrame]] = field(default_factory=dict)

    def add(self, table: str, rows: list[Row]) -> None:
        """Append rows to a table."""
        self.rows.setdefault(table, []).extend(rows)

    def table(self, name: str) -> pd.DataFrame:
        """Everything gathered for a table with its columns in order."""
        return pd.DataFrame(self.rows.get(name, []), columns=columns(name))


@threadpool_limits.wrap(limits=1, user_api="blas")
def run() -> None:
    """Measure everything that params.yaml lists and write results/.

    With one BLAS thread: the products are many and small, and their last digits must not depend on the machine's load.
    """
    settings = without_absent(load())
    chosen = settings.statistics
    cohorts = {dataset: read_cohort(dataset, split) for dataset, split in SPLITS.items()}
    runs = {pair: Run(*pair) for pair in settings.runs()}
    check_comparable(list(runs.values()), list(cohorts.values()))
    listed = claims.read()
    named = effects_of(settings)
    pairs = compared_pairs(settings, claims.pairs(listed), named)
    asked = list(dict.fromkeys([*[((a,), (b,)) for a, b in pairs], *[one.sides for one in named]]))
    results = Results()
    contrasts: list[tuple[str, Contrast]] = []
    delong: dict[tuple[str, Quantity, Sides], float] = {}
    averaged: dict[str, dict[Pair, Measurements]] = {}
    fitted = {pair: Scored.read(one, cohorts[layout.TRAINING_DATASET], []) for pair, one in runs.items()}
    for dataset in layout.EVALUATION_DATASETS:
        cohort = cohorts[dataset]
        draws = draw(cohort.index["patient_id"], chosen.replicates, chosen.seed, dataset)
        findings = with_subsets(ceiling(cohort, draws, chosen, results), claims.subsets(listed, dataset))
        results.add("grounding", reference.grounding_rows(cohort, draws, chosen))
        scored = {pair: Scored.read(one, cohort, findings.defined) for pair, one in runs.items()}
        measured: dict[Pair, Measurements] = {
            pair: of_run(scored[pair], fitted[pair], findings, draws, chosen.min_positives)
            for pair in with_progress(runs, f"measuring {dataset}")
        }
        seeds = tables.seed_layouts(measured)
        add_systems(measured, runs, dataset, seeds, chosen, results)
        averaged[dataset] = {
            pair: {key: value for key, value in one.items() if key.table == "operating" or key in COMPARED}
            for pair, one in measured.items()
        }
        for system in dict.fromkeys(system for system, _ in runs):
            figures([scored[pair] for pair in runs if pair[0] == system], fitted, results)
        found = [tables.contrast(key, sides, measured, seeds, chosen) for sides in asked for key in COMPARED]
        contrasts += [(dataset, one) for one in found if one]
        delong |= {(dataset, one.quantity, one.sides): _delong(one, scored) for one in found if one}
    whole = {pair: tables.over_datasets([averaged[dataset][pair] for dataset in averaged]) for pair in runs}
    seeds = tables.seed_layouts(whole)
    add_systems(whole, runs, OVERALL, seeds, chosen, results)
    contrasts = tables.with_overall(contrasts, seeds)
    results.add("differences", difference_rows(contrasts, pairs, delong, runs, settings))
    results.add("ranking", ranking.rows(contrasts, runs, settings))
    results.add("effects", tables.effect_rows(named, contrasts, runs, chosen))
    results.add("embedding", embedding.rows(list(runs.values()), cohorts[layout.TRAINING_DATASET], chosen))
    write(results, listed, runs, settings)


def scale_of(settings: Settings) -> dict[str, object]:
    """What a published magnitude depends on beside the data: the image tower and the side of its images, in pixels."""
    image = settings.encoders.get("image", {})
    return {"tower": image.get("kind"), "size": image.get("size", settings.cohort.size)}


def effects_of(settings: Settings) -> list[Effect | Interaction]:
    """The effects and interactions that the measured systems allow."""
    known = effects(settings, list(dict.fromkeys(system for system, _ in settings.runs())))
    return [*known, *interactions(known)]


def compared_pairs(
    settings: Settings, asked: list[tuple[str, str]], named: list[Effect | Interaction]
) -> list[tuple[str, str]]:
    """(a, b) of every difference: systems and ablation rows against references, ranked pairs, claims, effects.

    A pair is stored in one direction, that in which it is named first; readers turn it (`select.difference`).
    """
    chosen = settings.statistics
    wanted = [(a, b) for b in chosen.references for a in settings.compare]
    wanted += [(a, b) for b in chosen.ablation_references for a in settings.ablation]
    wanted += [(a, b) for b, a in combinations(settings.scratch, 2)]
    wanted += ranking.pairs(settings)
    wanted += asked + [(one.a, one.b) for one in named if isinstance(one, Effect)]
    known = {system for system, _ in settings.runs()}
    first = {frozenset(pair): pair for pair in reversed(wanted)}
    return list(dict.fromkeys(first[frozenset(pair)] for pair in wanted if pair[0] != pair[1] and set(pair) <= known))


def ceiling(cohort: Cohort, draws: Draws, chosen: StatisticsSettings, results: Results) -> Findings:
    """The probe's AUCs and the thumbnails' as rows of ceiling.csv; which findings are measurable, and visible.

    A finding is visible when the lower bound of the probe's AUC lies above `visible_above`.
    """
    defined, undefined = measurable(cohort, chosen.min_positives)
    results.frames.setdefault("undefined", []).append(undefined)
    card = layout.PROBE / "probe.json"
    check_cohort(card, read_json(card), cohort)
    path = layout.PROBE / f"{cohort.dataset}.parquet"
    table = aligned(read_table(path), cohort.index["image_id"], path)
    names = ["normal", THUMBNAIL, *[FINDING + finding for finding in defined]]
    labels = np.column_stack([cohort.normal, cohort.normal, cohort.labels(defined)])
    statistics = resampled_aucs(labels, numbers(table, names, path), draws, names)
    lows = [interval(statistic, chosen.interval, chosen.level).low for statistic in statistics]
    visible = [finding for finding, low in zip(defined, lows[2:], strict=True) if low > chosen.visible_above]
    each = dict(zip(defined, statistics[2:], strict=True))
    normal = int(np.nansum(cohort.normal))
    entries = [("normal_auc", "", statistics[0], normal), ("thumbnail", "", statistics[1], normal)]
    for quantity, group in (("abnormal_auc", defined), ("abnormal_auc_visible", visible)):
        if group:
            entries.append((quantity, "", mean([each[finding] for finding in group]), len(group)))
    entries += [("abnormal_auc", finding, each[finding], cohort.positives(finding)) for finding in defined]
    rows: list[Row] = [
        {"dataset": cohort.dataset, "quantity": quantity, "finding": finding, "n": len(cohort.index)}
        | {"positives": positives, "visible": int(finding in visible) if finding else None}
        | {"cohort_hash": cohort.fingerprint}
        | tables.bounds(statistic, chosen, SHARE, 1)
        for quantity, finding, statistic, positives in entries
    ]
    results.add("ceiling", rows)
    return Findings(defined, visible)


def with_subsets(findings: Findings, asked: dict[str, tuple[str, ...]]) -> Findings:
    """The findings with those macros over named ones of which every finding is measurable."""
    whole = {name: list(named) for name, named in asked.items() if set(named) <= set(findings.defined)}
    return replace(findings, subsets=whole)


def add_systems(
    measured: dict[Pair, Measurements],
    runs: dict[Pair, Run],
    dataset: str,
    seeds: dict[Quantity, SeedLayout],
    chosen: StatisticsSettings,
    results: Results,
) -> None:
    """Rows of auc.csv, operating.csv and grounding.csv: of every system on one dataset, or `overall`."""
    for system in dict.fromkeys(system for system, _ in runs):
        mine = {runs[pair]: measured[pair] for pair in runs if pair[0] == system}
        for table, rows in tables.of_system(mine, dataset, seeds, chosen).items():
            results.add(table, rows)


def figures(seeds: list[Scored], fitted: dict[Pair, Scored], results: Results) -> None:
    """Rows of roc.csv and histograms.csv of one system on one dataset, from all its seeds."""
    cohort, system = seeds[0].cohort, seeds[0].run.system

    for score in NORMALITY_SCORES:
        name = (cohort.dataset, system, score)
        lines = [curves.roc(cohort.normal, each.normal[score]) for each in seeds]
        shares = [
            curves.histogram(cohort.normal, each.normal[score], fitted[system, each.run.seed].normal[score])
            for each in seeds
        ]
        results.frames.setdefault("roc", []).append(curves.roc_rows(*name, lines))
        results.frames.setdefault("histograms", []).append(curves.histogram_rows(*name, shares))


def _delong(found: Contrast, scored: dict[Pair, Scored]) -> float:
    """DeLong's p-value of a difference in normal AUC where every cluster is one image, else NaN."""
    cohort = scored[found.systems[0], found.seeds[0]].cohort
    if found.quantity.quantity != "normal_auc" or not cohort.one_image_per_cluster or len(found.systems) != 2:
        return np.nan
    a, b = (
        np.stack([scored[system, seed].normal[found.quantity.score] for seed in found.seeds])
        for system in found.systems
    )
    return delong_p(cohort.normal, a, b)


def difference_rows(
    found: list[tuple[str, Contrast]],
    pairs: list[tuple[str, str]],
    delong: dict[tuple[str, Quantity, Sides], float],
    runs: dict[Pair, Run],
    settings: Settings,
) -> list[Row]:
    """Rows of differences.csv: the contrasts of the compared pairs, on each dataset, then `overall`."""
    rows: list[Row] = []
    tested = []
    for dataset, one in found:
        if one.systems not in pairs:
            continue
        a, b = one.systems
        names: Row = {"a": a, "b": b, "p_delong": delong.get((dataset, one.quantity, one.sides), np.nan)}
        rows.append(names | tables.contrast_row(dataset, one, runs, settings.statistics))
        declared = one.quantity in FAMILY and a in settings.compare
        tested.append(rows[-1]["p"] if declared and b == settings.statistics.references[0] else np.nan)
    for row, adjusted in zip(rows, holm(np.array(tested, float)), strict=True):
        row["p_holm"] = adjusted
    return rows


def ledgers(runs: dict[Pair, Run]) -> pd.DataFrame:
    """ledger.csv: every run's ledger on one row, nested entries as ``spent.flops``."""
    return pd.json_normalize([run.ledger for run in runs.values()])


def summary(values: pd.DataFrame, grounding: pd.DataFrame, errors: pd.DataFrame) -> dict[str, Any]:
    """summary.json for `dvc metrics`: dataset -> system -> quantity -> the mean over seeds."""
    result: dict[str, Any] = {}
    frames = [
        values[(values["finding"] == "") & (values["progress"] == 1.0)],
        grounding[
            (grounding["finding"] == "") & (grounding["size"] == "all") & (grounding["heatmap"] == PUBLISHED)
        ].rename(columns={"measure": "quantity"}),
        errors[(errors["score"] == "prompt") & errors["rule"].isin(PRIMARY_RULES)],
    ]
    for frame in frames:
        for row in frame[frame["seed"] == "all"].to_dict("records"):
            score = row.get("score", "")
            name = row["quantity"] if score in ("", "prompt") else f"{row['quantity']}_{score}"
            if not np.isnan(row["estimate"]):
                result.setdefault(row["dataset"], {}).setdefault(row["system"], {})[name] = round(row["estimate"], 6)
    return result


def write(results: Results, listed: list[claims.Claim], runs: dict[Pair, Run], settings: Settings) -> None:
    """Write results/, whole: a table that is gone from the settings does not linger."""
    found = {name: results.table(name) for name in COLUMNS}
    found |= {name: pd.concat(frames, ignore_index=True) for name, frames in results.frames.items()}
    found["ledger"] = ledgers(runs)
    found["claims"] = claims.judge(
        listed, found["differences"], found["auc"], found["ledger"], scale_of(settings), phantom=settings.is_phantom
    )
    found["coverage"] = coverage.kept()
    for name, table in found.items():
        files.write_csv(layout.RESULTS / f"{name}.csv", table)
    files.write_json(layout.RESULTS / "summary.json", summary(found["auc"], found["grounding"], found["operating"]))

"""The stage `measure`: scores -> results/*.csv and summary.json, every number with its interval.

One dataset at a time: its patients are drawn once, every run is measured on the same draws, the rows are
written down, and only what the differences need is kept. Formulas: docs/statistics.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from benchmark.artifacts.cohort import SPLITS
from benchmark.artifacts.cohort import read as read_cohort
from benchmark.artifacts.columns import COLUMNS, NORMALITY_SCORES, OVERALL, PRIMARY_RULES, PUBLISHED, columns
from benchmark.artifacts.run import Run, check_comparable, without_absent
from benchmark.common import files
from benchmark.common.progress import with_progress
from benchmark.pipeline import layout
from benchmark.pipeline.effects import Effect, Interaction, Sides, effects, interactions, parts
from benchmark.pipeline.settings import Settings, StatisticsSettings, load
from benchmark.statistics import claims, coverage, curves, embedding, ranking, reliability, tables
from benchmark.statistics.bootstrap import Draws, draw, draw_seeds
from benchmark.statistics.differences import (
    COMPARED,
    Pair,
    adjusted,
    compared_pairs,
    declared_pairs,
    delong,
    difference_rows,
    finding_rows,
)
from benchmark.statistics.quantities import Findings, Measurements, Quantity, Scored, measurable, of_run
from benchmark.statistics.reference import ceiling, detected, grounding_rows
from benchmark.statistics.seeds import SeedLayouts
from benchmark.statistics.subgroups import subgroups
from benchmark.statistics.tables import Contrast, Row


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
    starts = {name: parts(settings.systems[name])["start"] for name in settings.names()}
    pairs = compared_pairs(settings, claims.pairs(listed), named)
    asked = list(dict.fromkeys([*[((a,), (b,)) for a, b in pairs], *[one.sides for one in named]]))
    results = Results()
    contrasts: list[tuple[str, Contrast]] = []
    of_delong: dict[tuple[str, Quantity, Sides], float] = {}
    averaged: dict[str, dict[Pair, Measurements]] = {}
    fitted = {pair: Scored.read(one, cohorts[layout.TRAINING_DATASET], []) for pair, one in runs.items()}
    for dataset in layout.EVALUATION_DATASETS:
        cohort = cohorts[dataset]
        draws = draw(cohort.index["patient_id"], chosen.replicates, chosen.seed, dataset)
        defined, undefined = measurable(cohort, chosen.min_positives)
        results.frames.setdefault("undefined", []).append(undefined)
        scored = {pair: Scored.read(one, cohort, defined) for pair, one in runs.items()}
        seen = detected(scored, draws, chosen, defined)
        findings, supervised = ceiling(cohort, defined, seen, draws, chosen)
        results.add("ceiling", supervised)
        results.add("grounding", grounding_rows(cohort, draws, chosen))
        findings = with_subsets(findings, claims.subsets(listed, dataset))
        groups = subgroups(cohort, chosen.min_positives)
        measured: dict[Pair, Measurements] = {
            pair: of_run(scored[pair], fitted[pair], findings, groups, draws, chosen.min_positives)
            for pair in with_progress(runs, f"measuring {dataset}")
        }
        seeds = tables.seed_layouts(measured, starts)
        add_systems(measured, runs, dataset, seeds, chosen, results)
        averaged[dataset] = {
            pair: {key: value for key, value in one.items() if key.table == "operating" or key in COMPARED}
            for pair, one in measured.items()
        }
        for system in dict.fromkeys(system for system, _ in runs):
            figures([scored[pair] for pair in runs if pair[0] == system], fitted, draws, chosen, results)
        found = [tables.contrast(key, sides, measured, seeds, chosen) for sides in asked for key in COMPARED]
        contrasts += [(dataset, one) for one in found if one]
        results.add(
            "finding_differences", finding_rows(dataset, declared_pairs(settings), measured, seeds, runs, chosen)
        )
        of_delong |= {(dataset, one.quantity, one.sides): delong(one, scored) for one in found if one}
    whole = {pair: tables.over_datasets([averaged[dataset][pair] for dataset in averaged]) for pair in runs}
    seeds = tables.seed_layouts(whole, starts)
    add_systems(whole, runs, OVERALL, seeds, chosen, results)
    contrasts = tables.with_overall(contrasts, seeds)
    results.add("differences", difference_rows(contrasts, pairs, of_delong, runs, settings))
    results.add("ranking", ranking.rows(contrasts, runs, settings))
    results.add("effects", adjusted(tables.effect_rows(named, contrasts, runs, chosen)))
    results.add("embedding", embedding.rows(list(runs.values()), cohorts[layout.TRAINING_DATASET], chosen, starts))
    write(results, listed, runs, settings)


def scale_of(settings: Settings) -> dict[str, object]:
    """What a published magnitude depends on beside the data: the image tower and the side of its images, in pixels."""
    image = settings.encoders.get("image", {})
    return {"tower": image.get("kind"), "size": image.get("size", settings.cohort.size)}


def effects_of(settings: Settings) -> list[Effect | Interaction]:
    """The effects and interactions that the measured systems allow."""
    known = effects(settings, list(dict.fromkeys(system for system, _ in settings.runs())))
    return [*known, *interactions(known)]


def with_subsets(findings: Findings, asked: dict[str, tuple[str, ...]]) -> Findings:
    """The findings with those macros over named ones of which every finding is measurable."""
    whole = {name: list(named) for name, named in asked.items() if set(named) <= set(findings.defined)}
    return replace(findings, subsets=whole)


def add_systems(
    measured: dict[Pair, Measurements],
    runs: dict[Pair, Run],
    dataset: str,
    seeds: dict[Quantity, SeedLayouts],
    chosen: StatisticsSettings,
    results: Results,
) -> None:
    """Rows of auc.csv, operating.csv, grounding.csv and subgroups.csv: every system on one dataset, or `overall`."""
    for system in dict.fromkeys(system for system, _ in runs):
        mine = {runs[pair]: measured[pair] for pair in runs if pair[0] == system}
        for table, rows in tables.of_system(mine, dataset, seeds, chosen).items():
            results.add(table, rows)


def figures(
    seeds: list[Scored], fitted: dict[Pair, Scored], draws: Draws, chosen: StatisticsSettings, results: Results
) -> None:
    """Rows of roc.csv, reliability.csv and histograms.csv of one system on one dataset, from all its seeds."""
    cohort, system, published = seeds[0].cohort, seeds[0].run.system, NORMALITY_SCORES[0]
    drawn = draw_seeds(len(seeds), draws.replicates, chosen.seed)
    scores = [each.normal[published] for each in seeds]
    roc = curves.roc_rows(cohort.dataset, system, cohort.normal, scores, draws, drawn, chosen.level)
    results.frames.setdefault("roc", []).append(roc)
    diagrams = []
    for each in seeds:
        as_is, corrected = each.probabilities(fitted[system, each.run.seed], published)
        diagrams.append((reliability.diagram(cohort.normal, as_is), reliability.diagram(cohort.normal, corrected)))
    results.frames.setdefault("reliability", []).append(curves.reliability_rows(cohort.dataset, system, diagrams))
    for score in NORMALITY_SCORES:
        name = (cohort.dataset, system, score)
        shares = [
            curves.histogram(cohort.normal, each.normal[score], fitted[system, each.run.seed].normal[score])
            for each in seeds
        ]
        results.frames.setdefault("histograms", []).append(curves.histogram_rows(*name, shares))


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

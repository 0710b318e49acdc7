"""The tables behind the headline: operating points, wordings, findings, grounding, embeddings, calibration."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmark.artifacts import select
from benchmark.artifacts.columns import NORMALITY_SCORES, OVERALL, PUBLISHED, SUPERVISED, THRESHOLD_RULES, is_wording
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import names, releases, tables
from benchmark.reporting.tables import EXCEEDS, INVERTED, Column, Table

DATASET, SYSTEM = Column("Dataset", "left"), Column("System", "left")
ERRORS = ("false_positive_rate", "false_negative_rate")
MOST_WITH_INTERVALS = 4
"""Systems that have a column each with intervals in it."""
QUALITY = ("average_precision", "brier", "brier_base_rate", "ece", "ece_prior_corrected")


def operating(found: Evidence) -> Table:
    """What a threshold fitted on the validation split costs: false positives and false negatives."""
    data = select.rows(found.results["operating"], seed="all", score="prompt", system=found.everyone, quantity=ERRORS)
    cells = []
    for (dataset, system), group in _grouped(found, data, ["dataset", "system"]):
        shown = [names.dataset(dataset), found.label(system, dataset)]
        for rule in THRESHOLD_RULES:
            for quantity in ERRORS:
                row = select.one(group, rule=rule, quantity=quantity)
                shown.append(tables.stacked(row, 2))
        cells.append(shown)
    heads = [Column(f"{short}\n{names.rule(rule)}") for rule in THRESHOLD_RULES for short in ("FP", "FN")]
    return tables.table(
        "operating_points",
        "Errors at thresholds fitted on the training set's validation split, normal prompt.",
        [DATASET, SYSTEM, *heads],
        cells,
        data,
        note="FP: share of normal images called abnormal; FN: share of abnormal images called normal. No evaluation "
        "image was used to choose a threshold.",
        group_by=0,
    )


def wordings(found: Evidence) -> Table:
    """Normal AUC under each wording of the normal prompt: how much the wording alone changes it."""
    data = select.rows(
        found.results["auc"],
        seed="all",
        quantity="normal_auc",
        finding="",
        progress=1.0,
        dataset=tuple(found.datasets),
        system=found.systems,
    )
    if not data.empty:
        data = data[data["score"].map(is_wording)]
    cells = []
    for (dataset, score), group in _grouped(found, data, ["dataset", "score"]):
        shown = [names.dataset(dataset), f"{names.score(score)}{' (published)' if score == 'prompt' else ''}"]
        for system in found.systems:
            row = select.one(group, system=system)
            shown.append(f"{_short(found, row)}{found.seen_mark(system, dataset)}" if row else tables.MISSING)
        cells.append(shown)
    return tables.table(
        "prompt_sensitivity",
        "Normal AUC under other wordings of the normal prompt.",
        [DATASET, Column("Wording", "left"), *[Column(found.label(s)) for s in found.systems]],
        cells,
        data,
        note="Only the published wording enters the comparison; the others show how much the wording could change it.",
        group_by=0,
    )


def per_finding(found: Evidence) -> Table:
    """Abnormal AUC and pointing game of each finding, beside the supervised reference."""
    auc = select.rows(found.results["auc"], seed="all", progress=1.0, system=found.systems)
    auc = auc[auc["finding"] != ""] if not auc.empty else auc
    pointing = select.rows(found.results["grounding"], seed="all", measure="pointing", size="all", system=found.systems)
    pointing = select.rows(pointing, heatmap=PUBLISHED)
    cells = []
    for (dataset, finding), group in _grouped(found, auc, ["dataset", "finding"]):
        ceiling = select.one(found.results["ceiling"], dataset=dataset, finding=finding)
        positives = group["positives"].iloc[0]
        shown = [names.dataset(dataset), finding, tables.count(positives)]
        for system in found.systems:
            row = select.one(group, system=system)
            above = row is not None and ceiling is not None and row["estimate"] > ceiling["estimate"]
            hit = select.one(pointing, dataset=dataset, finding=finding, system=system)
            inverted = row is not None and select.is_inverted(row["high"])
            mark = f"{found.seen_mark(system, dataset)}{EXCEEDS if above else ''}{INVERTED if inverted else ''}"
            shown += [f"{_short(found, row, 2)}{mark}" if row else tables.MISSING]
            if not _is_wide(found):
                shown += [tables.number(hit["estimate"], 2) if hit else releases.no_heatmap(found, system)]
        chance = select.one(pointing, dataset=dataset, finding=finding)
        shown += [
            tables.number(chance["chance"], 2) if chance else tables.MISSING,
            tables.number(ceiling["estimate"], 2) if ceiling else tables.MISSING,
        ]
        cells.append(shown)
    titles = {s: (found.label(s),) if _is_wide(found) else (f"{found.label(s)} AUC", "point") for s in found.systems}
    heads = [Column(title) for each in titles.values() for title in each]
    data = pd.concat([auc, pointing[pointing["finding"] != ""] if not pointing.empty else pointing], ignore_index=True)
    return tables.table(
        "per_finding",
        "Each finding: AUC, its chance level in the pointing game, and the AUC of the supervised reference."
        if _is_wide(found)
        else "Each finding: AUC, pointing game (point), its chance level, and the AUC of the supervised reference.",
        [DATASET, Column("Finding", "left"), Column("Positives"), *heads, Column("chance"), Column("reference")],
        cells,
        data,
        note=f"{EXCEEDS} above the supervised reference, which is no ceiling. {INVERTED} inverted: the whole interval "
        "lies below 0.5. A finding that nobody detects cannot distinguish systems.",
        group_by=0,
    )


def subgroups(found: Evidence) -> Table:
    """Normal AUC within views, sexes and age groups: a score that ranks by the view does not rank within it."""
    data = select.rows(found.results["subgroups"], seed="all", system=found.systems)
    cells = []
    for (dataset, subgroup, level), group in _grouped(found, data, ["dataset", "subgroup", "level"]):
        rows = [select.one(group, system=system) for system in found.systems]
        first = next(row for row in rows if row is not None)
        shown = [names.dataset(dataset), f"{names.SUBGROUPS.get(subgroup, subgroup)}: {level}"]
        shown.append(f"{tables.count(first['positives'])} of {tables.count(first['n'])}")
        cells.append([*shown, *[_short(found, row) if row else tables.MISSING for row in rows]])
    return tables.table(
        "subgroups",
        "Normal AUC (normal prompt) within subgroups.",
        [DATASET, Column("Subgroup", "left"), Column("Normal"), *[Column(found.label(s)) for s in found.systems]],
        cells,
        data,
        note="Exploratory. Subgroups with normals or abnormals of too few patients are left out.",
        group_by=0,
    )


def undefined(found: Evidence) -> Table:
    """Findings with too few positives: listed, never dropped silently."""
    data = found.results["undefined"]
    cells = [
        [names.dataset(r["dataset"]), str(r["finding"]), tables.count(r["positives"]), str(r["reason"])]
        for r in data.to_dict("records")
    ]
    return tables.table(
        "undefined",
        "Findings whose AUC is undefined here.",
        [DATASET, Column("Finding", "left"), Column("Positives"), Column("Reason", "left")],
        cells,
        data,
        group_by=0,
    )


def grounding(found: Evidence) -> Table:
    """Pointing game, contrast-to-noise and IoU, and the pointing game by size of the region."""
    shown_systems = (*found.everyone, SUPERVISED)
    data = select.rows(found.results["grounding"], seed="all", finding="", system=shown_systems)
    cells = []
    for (dataset, system, heatmap), group in _grouped(found, data, ["dataset", "system", "heatmap"]):
        pointing = select.one(group, measure="pointing", size="all")
        shown = [names.dataset(dataset), names.REFERENCE if system == SUPERVISED else found.label(system, dataset)]
        shown.append(names.HEATMAPS[heatmap])
        for measure in ("pointing", "cnr", "miou"):
            row = select.one(group, measure=measure, size="all")
            shown.append(tables.estimate(row, 2) if row else tables.MISSING)
        for size in ("small", "medium", "large"):
            row = select.one(group, measure="pointing", size=size)
            shown.append(tables.number(row["estimate"], 2) if row else tables.MISSING)
        shown.append(tables.number(pointing["chance"], 2) if pointing else tables.MISSING)
        shown.append(names.TRUTHS.get(str(pointing["kind"]), "mixed") if pointing else "")
        cells.append(shown)
    measured = set(data["dataset"]) if not data.empty else set()
    for system in found.everyone:
        if not found.publishes_heatmaps(system):
            cells += [
                [
                    names.dataset(d),
                    found.label(system, d),
                    tables.MISSING,
                    releases.NO_HEATMAP,
                    *[tables.MISSING] * 6,
                    "",
                ]
                for d in (*found.datasets, OVERALL)
                if d in measured
            ]
    place = [names.dataset(d) for d in (*found.datasets, OVERALL)]
    cells.sort(key=lambda row: place.index(row[0]))
    return tables.table(
        "grounding",
        "Grounding, macro over findings.",
        [
            DATASET,
            SYSTEM,
            Column("Heatmap", "left"),
            *[Column(names.quantity(m)) for m in ("pointing", "cnr", "miou")],
            *[Column(size) for size in ("small", "medium", "large")],
            Column("chance"),
            Column("ground truth", "left"),
        ],
        cells,
        data,
        note="Small, medium, large: pointing game by tercile of the region's size. Numbers that rest on different "
        "kinds of ground truth must not be compared with one another. Published: the heatmap that the model was "
        "published with, which is judged. Cell alone: what the model answers to an image made of one cell, the one map "
        "that means the same for all; of the supervised reference it is the class activation.",
        group_by=0,
    )


def embedding(found: Evidence) -> Table:
    """How tightly normal images cluster, and how the blocks of the pair matrix score."""
    data = select.rows(found.results["embedding"], seed="all", system=found.systems)
    measures = list(dict.fromkeys(data["measure"])) if not data.empty else []
    cells = []
    for measure in measures:
        rows = [select.one(data, measure=measure, system=system) for system in found.systems]
        cells.append(
            [names.GEOMETRY.get(measure, measure), *[_short(found, r, 2) if r else tables.MISSING for r in rows]]
        )
    return tables.table(
        "embedding",
        "Geometry of the validation split's images and pairs.",
        [Column("Measure", "left"), *[Column(found.label(s)) for s in found.systems]],
        cells,
        data,
        note="Logits are standardised: deviation from the mean of the whole pair matrix, in its standard deviations.",
    )


def calibration(found: Evidence) -> Table:
    """Average precision, Brier score and expected calibration error of the normality scores."""
    data = select.rows(
        found.results["operating"], seed="all", quantity=QUALITY, system=found.systems, score=NORMALITY_SCORES
    )
    cells = []
    for (dataset, system, score), group in _grouped(found, data, ["dataset", "system", "score"]):
        rows = [select.one(group, quantity=quantity) for quantity in QUALITY]
        shown = [tables.estimate(row, 2) if row else tables.MISSING for row in rows]
        cells.append([names.dataset(dataset), found.label(system, dataset), names.score(score), *shown])
    return tables.table(
        "calibration",
        "Calibration of the normality scores: probabilities by Platt's sigmoid of the validation split.",
        [DATASET, SYSTEM, Column("Score", "left"), *[Column(names.quantity(q)) for q in QUALITY]],
        cells,
        data,
        note="Brier, base rate: of who knows the share of normals alone; a greater Brier score is worse than that. "
        "Prior corrected: the log odds moved to the dataset's own share of normals, a diagnostic that uses its labels; "
        "what it takes away is the shift of prevalence. An ECE overstates: noise counts as error.",
        group_by=0,
    )


def seeds(found: Evidence, systems: tuple[str, ...] = (), name: str = "seeds") -> Table:
    """Every training seed: what the means hide."""
    systems = systems or found.everyone
    data = select.rows(found.results["auc"], finding="", progress=1.0, score=("prompt", ""), system=systems)
    if not data.empty:
        data = data[(data["seed"] != "all") & data["quantity"].isin(["normal_auc", "abnormal_auc"])]
    cells = []
    for (dataset, system, seed), group in _grouped(found, data, ["dataset", "system", "seed"]):
        shown = [names.dataset(dataset), found.label(system, dataset), str(seed)]
        for quantity in ("normal_auc", "abnormal_auc"):
            row = select.one(group, quantity=quantity)
            shown.append(tables.estimate(row) if row else tables.MISSING)
        cells.append(shown)
    return tables.table(
        name,
        "Each training seed, with intervals over patients.",
        [DATASET, SYSTEM, Column("Seed", "center"), Column("Normal AUC"), Column("Abnormal AUC")],
        cells,
        data,
        group_by=0,
    )


def _is_wide(found: Evidence) -> bool:
    """Whether a column a system, each with its intervals, would not fit the page."""
    return len(found.systems) > MOST_WITH_INTERVALS


def _short(found: Evidence, row: select.Row, digits: int = 3) -> str:
    """An estimate with its interval; in wide tables without, which the .csv has."""
    return tables.number(row["estimate"], digits) if _is_wide(found) else tables.estimate(row, digits)


def _grouped(found: Evidence, data: pd.DataFrame, keys: list[str]) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Groups in the report's order of datasets and systems, otherwise in the file's order."""
    if data.empty:
        return []
    order = {
        "dataset": {name: i for i, name in enumerate(found.datasets)},
        "system": {name: i for i, name in enumerate(found.settings.names())},
    }

    def place(item: tuple[tuple[Any, ...], pd.DataFrame]) -> tuple[int, ...]:
        return tuple(order[key].get(value, 99) for key, value in zip(keys, item[0], strict=True) if key in order)

    groups = [(key if isinstance(key, tuple) else (key,), group) for key, group in data.groupby(keys, sort=False)]
    return sorted(groups, key=place)

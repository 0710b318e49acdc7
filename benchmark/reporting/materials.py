"""The tables on what went in: budgets spent, cohorts, text filter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmark.artifacts.evidence import Evidence
from benchmark.pipeline import layout
from benchmark.reporting import names, tables
from benchmark.reporting.tables import Column, Table

BOUNDS = ("estimate", "low", "high")
QUALITY = {
    "classifier: accuracy": "Sentences that the classifier calls rightly",
    "classifier: accuracy unseen": "the same, of sentences that no training report holds",
    "classifier: accuracy occurrence weighted": "the same, weighted by how often a sentence occurs",
    "classifier: sensitivity abnormal": "Abnormal sentences called abnormal (sensitivity)",
    "classifier: specificity normal": "Normal sentences called normal (specificity)",
    "classifier: normal among kept": "Normal sentences among those that it would keep",
    "alternatives: rules": "Called rightly by negation rules instead",
    "alternatives: study label": "Called rightly by a classifier that learns each study's label for all its sentences",
    "filter: sentences": "Sentences of the training reports",
    "filter: sentences of abnormal studies": "Sentences of their abnormal reports",
    "filter: removed": "of these removed by the filter",
    "filter: removed share of abnormal studies": "the share that is removed",
    "filter: agreement with study label": "Reports whose pair label agrees with the study's own label",
    "filter: abnormal label called normal": "Abnormal studies whose pair label is normal",
    "filter: normal label called abnormal": "Normal studies whose pair label is abnormal",
    "prompting: sentences": "Sentences with a prompted form",
    "prompting: abnormal sentences": "Abnormal sentences with a prompted form",
    "prompting: normal sentences": "Normal sentences with a prompted form",
}
"""Numbers of quality.json in the order and the words of the report; all of them are in the CSV."""
SPENT_TOLERANCE = 1.0
"""Steps by which two systems' spending may differ and still count as one matched budget."""


def ledger(found: Evidence) -> Table:
    """What every run spent, from its own ledger."""
    records = []
    for run in found.runs:
        if not (entry := run.ledger):
            continue
        spent = entry.get("spent", {})
        records.append(
            {
                "system": run.system,
                "seed": run.seed,
                "steps": entry.get("steps"),
                "parameters": entry.get("parameters"),
                **{key: spent.get(key) for key in ("flops", "samples", "device_seconds")},
                "peak_memory_bytes": entry.get("peak_memory_bytes"),
                "hardware": entry.get("hardware", ""),
            }
        )
    cells = [
        [
            found.label(r["system"]),
            str(r["seed"]),
            tables.count(_or_nan(r["steps"])),
            tables.count(_or_nan(r["samples"])),
            tables.number(_or_nan(r["flops"]) / 1e12, 2),
            tables.number(_or_nan(r["device_seconds"]), 0),
            tables.number(_or_nan(r["peak_memory_bytes"]) / 1e9, 2),
            tables.count(_or_nan(r["parameters"])),
        ]
        for r in records
    ]
    heads = ["Steps", "Pairs seen", "TFLOP", "Seconds", "Peak memory, GB", "Parameters"]
    return tables.table(
        "ledger",
        f"Budget ledger: {budget(found)} for every {'trained ' if found.released else ''}system.",
        [Column("System", "left"), Column("Seed", "center"), *[Column(h) for h in heads]],
        cells,
        pd.DataFrame(records),
        note=matched(found),
        group_by=0,
    )


def budget(found: Evidence) -> str:
    """The budget in words: ``2 TFLOP``."""
    chosen = found.settings.budget
    if chosen.unit == "flops":
        return f"{chosen.amount / 1e12:,.4g} TFLOP"
    return f"{chosen.amount:,.6g} {chosen.unit.replace('_', ' ')}"


def matched(found: Evidence) -> str:
    """Whether all runs spent the same, within one step; says so where they do not."""
    unit, amount = found.settings.budget.unit, found.settings.budget.amount
    off = []
    for run in found.runs:
        spent, steps = run.ledger.get("spent", {}).get(unit), run.ledger.get("steps")
        if spent and steps and abs(spent - amount) > SPENT_TOLERANCE * spent / steps * 1.001:
            off.append(f"{found.label(run.system)} seed {run.seed} spent {spent / amount:.1%}")
    if not any(run.ledger.get("steps") for run in found.runs):
        return "Nothing was trained here."
    if off:
        return f"The budgets do NOT match: {names.join(off)} of the budget."
    return f"Every {'trained ' if found.released else ''}run spent the budget within one step."


def cohort(found: Evidence) -> Table:
    """Counts of every cohort, from its data card."""
    records, cells = [], []
    for name in layout.DATASETS:
        if (card := found.cards.get(name)) is None:
            continue
        counts: Mapping[str, Any] = card["counts"]
        dropped = sum(int(e["count"]) for e in card["exclusions"])
        records.append({"dataset": name, **counts, "excluded": dropped, "fingerprint": card["fingerprint"]})
        known = counts["normal"] + counts["abnormal"]
        share = f"{100 * counts['normal'] / known:.0f} %" if known else tables.MISSING
        cells.append(
            [
                names.dataset(name),
                "training" if name == layout.TRAINING_DATASET else "evaluation",
                f"{'PHANTOM' if card['phantom'] else card['release']}",
                *[tables.count(counts[key]) for key in ("images", "studies", "patients")],
                share,
                tables.count(dropped),
                f"{len(card['findings'])} ({card['labels']})",
                names.TRUTHS.get(card["grounding_truth"], str(card["grounding_truth"])),
                str(card["cluster"]),
            ]
        )
    heads = [Column(h) for h in ("Images", "Studies", "Patients", "Normal", "Excluded", "Findings")]
    return tables.table(
        "cohorts",
        "The cohorts.",
        [
            Column("Dataset", "left"),
            Column("Use", "left"),
            Column("Release", "left"),
            *heads,
            Column("Grounding truth", "left"),
            Column("Cluster", "left"),
        ],
        cells,
        pd.DataFrame(records),
        note="Cluster: what the bootstrap resamples; an image where the release names no patient.",
    )


def exclusions(found: Evidence) -> Table:
    """What was left out of each cohort, and why."""
    records = [
        {"dataset": name, "reason": e["reason"], "count": e["count"], "examples": ", ".join(e.get("examples", [])[:2])}
        for name in layout.DATASETS
        if name in found.cards
        for e in found.cards[name]["exclusions"]
    ]
    cells = [
        [
            names.dataset(r["dataset"]),
            str(r["reason"]),
            tables.count(r["count"]),
            r["examples"] if found.may_show(r["dataset"]) else "not shown",
        ]
        for r in records
    ]
    return tables.table(
        "exclusions",
        "What was left out, and why.",
        [
            Column("Dataset", "left"),
            Column("Reason", "left", wide=1),
            Column("Count"),
            Column("Examples", "left", wide=2),
        ],
        cells,
        pd.DataFrame([{k: v for k, v in r.items() if k != "examples"} for r in records]),
        group_by=0,
    )


def prevalence(found: Evidence) -> Table:
    """Positives of every finding in every cohort."""
    records = [
        {"dataset": name, "finding": finding, "positives": positives}
        for name in layout.DATASETS
        if name in found.cards
        for finding, positives in found.cards[name]["prevalence"].items()
    ]
    cells = []
    for name in layout.DATASETS:
        own = [r for r in records if r["dataset"] == name]
        if own:
            listed = ", ".join(f"{r['finding']} {tables.count(r['positives'])}" for r in own)
            cells.append([names.dataset(name), listed])
    return tables.table(
        "prevalence",
        "Positives of every finding.",
        [Column("Dataset", "left"), Column("Finding and positives", "left", wide=1)],
        cells,
        pd.DataFrame(records),
    )


def text_filter(found: Evidence) -> Table:
    """How well sentences are told normal from abnormal, and what the filter removed."""
    records = _measured(found.quality)
    measured = {str(r["quantity"]): r for r in records}
    cells = [
        [words, _shown(measured[key]), tables.count(measured[key]["n"])]
        for key, words in QUALITY.items()
        if key in measured
    ]
    return tables.table(
        "text_filter",
        "The sentence classifier on hand-labelled sentences of held-out reports, and what filter and prompting did to "
        "the training reports.",
        [Column("Quantity", "left"), Column("Value [95 % Wilson interval]"), Column("n")],
        cells,
        pd.DataFrame(records),
    )


def _measured(value: Mapping[str, Any], prefix: str = "") -> list[dict[str, Any]]:
    """Nested numbers by name, with their intervals; text is left out, for it could quote a report."""
    records: list[dict[str, Any]] = []
    for key, inner in value.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(inner, Mapping) and "estimate" in inner:
            records.append({"quantity": name, **{k: inner.get(k, float("nan")) for k in (*BOUNDS, "n")}})
        elif isinstance(inner, Mapping):
            records += _measured(inner, f"{name}: ")
        elif isinstance(inner, int | float):
            records.append({"quantity": name, "estimate": inner, **dict.fromkeys((*BOUNDS[1:], "n"), float("nan"))})
    return records


def _shown(record: Mapping[str, Any]) -> str:
    return tables.count(record["estimate"]) if isinstance(record["estimate"], int) else tables.estimate(record)


def _or_nan(value: Any) -> float:
    return float("nan") if value is None else float(value)

"""The tables on the cohorts: what is in them, what was left out, what is how frequent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmark.artifacts.evidence import Evidence
from benchmark.pipeline import layout
from benchmark.reporting import names, tables
from benchmark.reporting.tables import Column, Table


def counts(found: Evidence) -> Table:
    """Counts of every cohort, from its data card."""
    records, cells = [], []
    for name in layout.DATASETS:
        if (card := found.cards.get(name)) is None:
            continue
        held: Mapping[str, Any] = card["counts"]
        dropped = sum(int(e["count"]) for e in card["exclusions"])
        records.append({"dataset": name, **held, "excluded": dropped, "fingerprint": card["fingerprint"]})
        known = held["normal"] + held["abnormal"]
        share = f"{100 * held['normal'] / known:.0f} %" if known else tables.MISSING
        cells.append(
            [
                names.dataset(name),
                "training" if name == layout.TRAINING_DATASET else "evaluation",
                f"{'PHANTOM' if card['phantom'] else card['release']}",
                *[tables.count(held[key]) for key in ("images", "studies", "patients")],
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
        note="Cluster: the unit that the bootstrap resamples; the image where the release does not identify patients.",
    )


def exclusions(found: Evidence) -> Table:
    """What was excluded from each cohort, and why."""
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
        "What was excluded, and why.",
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
        "Positive images of every finding.",
        [Column("Dataset", "left"), Column("Finding and number of positive images", "left", wide=1)],
        cells,
        pd.DataFrame(records),
    )


SIDES = ("phantom", "table")
SHOWN = 5
"""Findings of each phantom set whose prevalence stands beside the table's."""


def beside(found: Evidence) -> Table:
    """Each phantom set beside the public table that it was drawn from: AP views, normal images, commonest findings."""
    records, cells = [], []
    for name in layout.DATASETS:
        pair = found.cards.get(name, {}).get("shares") or {}
        phantom, table = pair.get("phantom"), pair.get("table")
        if not (phantom and table):
            continue
        records += [
            {"dataset": name, "what": what, **{side: pair[side][what] for side in SIDES}}
            for what in ("normal", "ap", "ap_normal", "ap_abnormal")
        ]
        drawn, real = phantom["prevalence"], table["prevalence"]
        commonest = sorted(real, key=real.__getitem__, reverse=True)[:SHOWN]
        records += [
            {"dataset": name, "what": label, "phantom": drawn.get(label, 0.0), "table": real.get(label, 0.0)}
            for label in sorted({*drawn, *real})
        ]
        listed = ", ".join(f"{label} {_pair(drawn.get(label, 0.0), real[label])}" for label in commonest)
        shares = [_pair(phantom[what], table[what]) for what in ("normal", "ap", "ap_normal", "ap_abnormal")]
        cells.append([names.dataset(name), str(table["source"]), *shares, listed])
    return tables.table(
        "beside",
        "Each phantom set beside the public table that it was drawn from (phantom / table, % of the images).",
        [
            Column("Dataset", "left"),
            Column("Table", "left", wide=2),
            *[Column(head) for head in ("Normal", "AP", "AP if normal", "AP if abnormal")],
            Column("Commonest findings", "left", wide=4),
        ],
        cells,
        pd.DataFrame(records),
        note="AP: taken from front to back, mostly in bed. A dash: the table names no views.",
    )


def _pair(phantom: float | None, table: float | None) -> str:
    """``12.3 / 11.8``, in per cent."""
    return " / ".join(tables.MISSING if share is None else f"{100 * share:.1f}" for share in (phantom, table))

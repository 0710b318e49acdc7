"""The published claims beside what was measured: the verdict on each, and every test behind it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmark.artifacts import select
from benchmark.artifacts.columns import OVERALL
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import names, tables
from benchmark.reporting.tables import Cell, Column, Table


def verdicts(found: Evidence) -> Table:
    """Each published claim once: what was measured over all datasets it concerns, and the verdict."""
    data = found.results["claims"]
    cells: tables.Cells = []
    kept = []
    for _, group in data.groupby("claim", sort=False) if not data.empty else []:
        rows = group.to_dict("records")
        whole = next((r for r in rows if r["dataset"] == OVERALL), rows[0])
        apart = [r for r in rows if r is not whole]
        shown = tables.stacked(whole, sign=bool(whole["b"]))
        cells.append(
            [
                f"{whole['statement']} ({whole['source']})",
                tables.number(whole["published"]),
                shown,
                tables.number(whole["detectable"]),
                names.dataset(whole["dataset"]) if whole["dataset"] else tables.MISSING,
                Cell(str(whole["verdict"]), bold=True),
                _apart(apart) or str(whole["note"]),
            ]
        )
        kept.append(whole)
    columns = [
        Column("Published claim", "left", wide=5),
        Column("Published"),
        Column("Measured"),
        Column("Detectable"),
        Column("Dataset", "left"),
        Column("Verdict", "left"),
        Column("Single datasets, or note", "left", wide=3),
    ]
    return tables.table(
        "verdicts",
        "Verdict on each published claim.",
        columns,
        cells,
        pd.DataFrame(kept),
        note="Supported: the interval lies on the claimed side, and holds the published magnitude where one can be "
        "tested; in direction: the side alone. Contradicted: it lies on the other side. Inconclusive: it holds both. "
        "Detectable: the smallest difference that this design finds with 80 % power. A magnitude published on "
        "radiographs is not testable on PHANTOM images. Verdicts for every dataset are in the appendix.",
    )


def verdicts_by_dataset(found: Evidence) -> Table:
    """Every test of every claim."""
    data = found.results["claims"]
    cells = [
        [
            str(row["statement"]),
            names.dataset(row["dataset"]) if row["dataset"] else tables.MISSING,
            tables.estimate(row, sign=bool(row["b"])),
            tables.number(row["detectable"]),
            str(row["verdict"]),
            str(row["note"]),
        ]
        for row in data.to_dict("records")
    ]
    return tables.table(
        "verdicts_by_dataset",
        "Every test of every claim.",
        [
            Column("Claim", "left", wide=1),
            Column("Dataset", "left"),
            Column(f"Estimate [{found.interval}]"),
            Column("Detectable"),
            Column("Verdict", "left"),
            Column("Note", "left", wide=1),
        ],
        cells,
        data,
        group_by=0,
    )


def _apart(rows: Sequence[select.Row]) -> str:
    """``4 × supported``: the verdicts on single datasets, counted."""
    counts = pd.Series([str(row["verdict"]) for row in rows], dtype=object).value_counts(sort=False)
    return ", ".join(f"{count} × {verdict}" for verdict, count in counts.items())

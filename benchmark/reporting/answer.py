"""The first page, composed from the numbers whichever way they fall.

A sentence is chosen by what the interval says (better, worse, or no difference shown), never by hope.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmark.evidence import Evidence
from benchmark.reporting import materials, names, select, tables
from benchmark.reporting.tables import Cell, Column, Table

CHALLENGER, REFERENCE = "offclip", "carzero"
COSTS = (
    ("abnormal_auc", "", "Abnormal AUC, macro over findings", True),
    ("false_negative_rate", "prompt", "Abnormal pictures called normal", False),
    ("false_positive_rate", "prompt", "Normal pictures called abnormal", False),
    ("pointing", "", "Pointing game", True),
    ("normal_auc", "one_minus_max", "Normal AUC by 1 − max over findings", True),
    ("normal_auc", "contrast", "Normal AUC by normal − abnormal prompt", True),
)
"""Quantity, score, words, whether more is better."""
VERDICTS = ("reproduced", "direction only", "not reproduced", "not testable here")


def pair(found: Evidence) -> tuple[str, str] | None:
    """The two systems of the question, or None where they are not both compared."""
    systems = found.systems
    return (CHALLENGER, REFERENCE) if CHALLENGER in systems and REFERENCE in systems else None


def reading(row: select.Row, level: float, more_is_better: bool = True) -> str:
    """What a difference shows, in words.

    Args:
        row: estimate, low, high and, where the comparison was declared, p_holm.
        level: confidence level.
        more_is_better: False for error rates.
    """
    if not (row["low"] > 0 or row["high"] < 0):
        return "no difference shown"
    word = "better" if (row["estimate"] > 0) == more_is_better else "worse"
    return word if select.is_significant(row, level) else f"{word}, but not after Holm's adjustment"


def compose(found: Evidence) -> dict[str, Any]:
    """Question, headline, verdict count, banner and budget line."""
    seeds = len(found.settings.seeds)
    return {
        "question": _question(found),
        "headline": _headline(found),
        "budget": f"Every system was trained from {seeds} seed{'s' if seeds > 1 else ''} under one budget of "
        f"{materials.budget(found)}. {materials.matched(found)}",
        "banner": _banner(found),
        "verdicts": _verdict_counts(found),
    }


def by_dataset(found: Evidence) -> Table:
    """Normal AUC of the two systems of the question and their difference, dataset by dataset."""
    cells: tables.Cells = []
    records = []
    a, b = pair(found) or ("", "")
    for dataset in (*found.datasets, "overall") if a else ():
        row = _difference(found, "normal_auc", "prompt", dataset)
        if row is None:
            continue
        values = [_value(found, dataset, system) for system in (a, b)]
        said = reading(row, found.settings.statistics.level)
        cells.append([names.dataset(dataset), *values, Cell(tables.estimate(row, sign=True), bold=True), said])
        records.append({**row, "reading": said})
    return tables.table(
        "answer",
        "Normal AUC by the normal prompt (published protocol), with 95 % intervals over patients and seeds.",
        [
            Column("Dataset", "left"),
            Column(found.label(a) if a else ""),
            Column(found.label(b) if b else ""),
            Column("Difference"),
            Column(f"{found.label(a)} is" if a else "", "left"),
        ],
        cells,
        pd.DataFrame(records),
    )


def costs(found: Evidence) -> Table:
    """What the method costs or brings besides: differences in everything else."""
    cells: tables.Cells = []
    records = []
    a, b = pair(found) or ("", "")
    for quantity, score, words, more_is_better in COSTS if a else ():
        rows = {d: _difference(found, quantity, score, d) for d in ("overall", *found.datasets)}
        if (whole := rows["overall"]) is None:
            continue
        said = reading(whole, found.settings.statistics.level, more_is_better)
        apart = [tables.signed(row["estimate"], 2) if (row := rows[d]) else tables.MISSING for d in found.datasets]
        cells.append([words, Cell(tables.estimate(whole, sign=True), bold=True), *apart, said])
        records += [{**row, "reading": said if d == "overall" else ""} for d, row in rows.items() if row]
    return tables.table(
        "costs",
        "What it costs, or brings, besides: "
        + (f"{found.label(a)} minus {found.label(b)}." if a else "no pair of systems to compare."),
        [
            Column("Quantity", "left"),
            Column("All four [95 % interval]"),
            *[Column(names.dataset(d)) for d in found.datasets],
            Column(f"{found.label(a)} is" if a else "", "left"),
        ],
        cells,
        pd.DataFrame(records),
        note="Errors at the threshold with the greatest Youden index on the training set's validation split.",
    )


def _question(found: Evidence) -> str:
    if (systems := pair(found)) is None:
        return f"How do {names.join([found.label(s) for s in found.systems])} compare on normal and abnormal AUC?"
    a, b = (found.label(s) for s in systems)
    return f"Under one training budget, does {a} detect normal chest radiographs better than {b}, and at what cost?"


def _headline(found: Evidence) -> str:
    if (systems := pair(found)) is None:
        return "The compared systems do not include both OFF-CLIP and CARZero; the main table shows what is there."
    a, b = (found.label(s) for s in systems)
    row = _difference(found, "normal_auc", "prompt", "overall")
    if row is None:
        return "The difference in normal AUC was not measured."
    said = reading(row, found.settings.statistics.level)
    if said == "better":
        return f"Yes: over the four datasets {a}'s normal AUC is higher than {b}'s by {tables.estimate(row)}."
    if said == "worse":
        turned = {"estimate": -row["estimate"], "low": -row["high"], "high": -row["low"]}
        return f"No: over the four datasets {a}'s normal AUC is lower than {b}'s by {tables.estimate(turned)}."
    return f"Not shown: {a} minus {b} in normal AUC over the four datasets is {tables.estimate(row, sign=True)}."


def _value(found: Evidence, dataset: str, system: str) -> str:
    where = {"quantity": "normal_auc", "score": "prompt", "finding": "", "progress": 1.0, "seed": "all"}
    row = select.one(found.results["auc"], dataset=dataset, system=system, **where)
    return tables.estimate(row) if row else tables.MISSING


def _banner(found: Evidence) -> str:
    phantom = [names.dataset(name) for name, card in found.cards.items() if card["phantom"]]
    if not phantom:
        return "PUBLISHED DATASETS: every number was measured on the published releases named in the data cards."
    if len(phantom) < len(found.cards):
        return f"PARTLY PHANTOM: {names.join(phantom)} are rendered; the others are the published releases."
    return (
        "PHANTOM: every picture was rendered from one public CT with drawn findings. The numbers compare methods under "
        "a controlled budget; they say nothing about performance on patients."
    )


def _verdict_counts(found: Evidence) -> str:
    claims = found.results["claims"]
    if claims.empty:
        return ""
    # A claim that is tested on each dataset is judged on their mean.
    whole = claims.sort_values("dataset", key=lambda d: d != "overall", kind="stable").drop_duplicates("claim")
    counts = whole["verdict"].value_counts()
    listed = [f"{counts[v]} {v}" for v in VERDICTS if v in counts]
    return f"Of {len(whole)} published claims: {names.join(listed)}."


def _difference(found: Evidence, quantity: str, score: str, dataset: str) -> select.Row | None:
    if (systems := pair(found)) is None:
        return None
    return select.difference(found.results["differences"], *systems, dataset=dataset, quantity=quantity, score=score)

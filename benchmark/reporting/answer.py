"""The first page, composed from the numbers whichever way they fall.

A sentence is chosen by what the interval says (better, worse, or no difference shown), never by hope.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmark.artifacts import quantities, select
from benchmark.artifacts.columns import OVERALL
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import budget, names, releases, tables
from benchmark.reporting.tables import Cell, Column, Table

CHALLENGER, REFERENCE = "offclip", "carzero"
COSTS = (
    ("abnormal_auc", "", "Abnormal AUC, macro over findings", True),
    ("false_negative_rate", "prompt", "Abnormal images called normal", False),
    ("false_positive_rate", "prompt", "Normal images called abnormal", False),
    ("pointing", "", "Pointing game", True),
    ("normal_auc", "one_minus_max", "Normal AUC by 1 − max over findings", True),
    ("normal_auc", "contrast", "Normal AUC by normal − abnormal prompt", True),
)
"""Quantity, score, words, whether more is better."""
VERDICTS = ("supported", "supported in direction", "contradicted", "inconclusive", "not testable here")


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
    """Titles, question, headline, its price, verdict count, banner and budget line."""
    labels = names.join([found.label(s) for s in found.systems])
    return {
        "title": f"Does {found.label(CHALLENGER)} detect normal chest radiographs better?" if pair(found) else labels,
        "running": labels if found.released else f"{labels} under one budget",
        "question": _question(found),
        "headline": _headline(found),
        "price": _price(found),
        "budget": _budget(found),
        "released": " ".join(filter(None, (releases.prompts(found), releases.absent(found)))),
        "banner": banner(found),
        "verdicts": _verdict_counts(found),
    }


def by_dataset(found: Evidence) -> Table:
    """Normal AUC of the two systems of the question and their difference, dataset by dataset."""
    cells: tables.Cells = []
    records = []
    a, b = pair(found) or ("", "")
    for dataset in (*found.datasets, OVERALL) if a else ():
        row = _difference(found, "normal_auc", "prompt", dataset)
        if row is None:
            continue
        values = [_value(found, dataset, system) for system in (a, b)]
        level = found.settings.statistics.level
        difference = Cell(tables.estimate(row, sign=True), bold=select.is_significant(row, level))
        said = reading(row, level)
        cells.append([names.dataset(dataset), *values, difference, said])
        records.append({**row, "reading": said})
    return tables.table(
        "answer",
        f"Normal AUC by the normal prompt (published protocol), with {found.interval}s over patients and seeds.",
        [
            Column("Dataset", "left"),
            Column(found.label(a) if a else ""),
            Column(found.label(b) if b else ""),
            Column("Difference"),
            Column(f"{found.label(a)} is" if a else "", "left"),
        ],
        cells,
        pd.DataFrame(records),
        note="Bold: significant.",
    )


def costs(found: Evidence) -> Table:
    """What the method costs or gains elsewhere: differences in the other quantities."""
    cells: tables.Cells = []
    records = []
    a, b = pair(found) or ("", "")
    for quantity, score, words, more_is_better in COSTS if a else ():
        rows = {d: _difference(found, quantity, score, d) for d in (OVERALL, *found.datasets)}
        if (whole := rows[OVERALL]) is None:
            continue
        said = reading(whole, found.settings.statistics.level, more_is_better)
        cells.append([words, *[_difference_cell(found, rows[d], d == OVERALL) for d in rows], said])
        records += [{**row, "reading": said if d == OVERALL else ""} for d, row in rows.items() if row]
    return tables.table(
        "costs",
        "The other quantities: "
        + (f"{found.label(a)} minus {found.label(b)}." if a else "no pair of systems to compare."),
        [
            Column("Quantity", "left"),
            Column(f"All four [{found.interval}]"),
            *[Column(names.dataset(d)) for d in found.datasets],
            Column(f"{found.label(a)} is" if a else "", "left"),
        ],
        cells,
        pd.DataFrame(records),
        note="Bold: significant. Error rates are taken at the threshold with the greatest Youden index on the "
        "validation split of the training set.",
    )


def _question(found: Evidence) -> str:
    if (systems := pair(found)) is None:
        return f"How do {names.join([found.label(s) for s in found.systems])} compare on normal and abnormal AUC?"
    a, b = (found.label(s) for s in systems)
    asked = f"{a} detect normal chest radiographs better than {b}, and at what cost?"
    return f"Does {asked}" if set(systems) & set(found.released) else f"Under one training budget, does {asked}"


def _budget(found: Evidence) -> str:
    """What was trained under the budget, and what was not."""
    said = []
    if found.trained:
        seeds = len(found.settings.seeds)
        who = f"{names.join([found.label(s) for s in found.trained])} were" if len(found.trained) > 1 else ""
        who = who or f"{found.label(found.trained[0])} was"
        said.append(
            f"{who if found.released else 'Every system was'} trained from {seeds} seed{'s' if seeds > 1 else ''} "
            f"under one budget of {budget.in_words(found)}."
        )
    said.append(budget.matched(found))
    if found.released:
        several = len(found.released) > 1
        said.append(
            f"{names.join([found.label(s) for s in found.released])} {'were' if several else 'was'} not trained here: "
            "released weights, evaluated as they are, whatever data and budget they took."
        )
    return " ".join(said)


def _headline(found: Evidence) -> str:
    """The answer in a word, by the means over the datasets.

    *Yes* or *No*: the normal AUC by the published prompt is higher or lower, and no other quantity of ``COSTS`` says
    the opposite; *Mixed*: one does; *Not shown*: the interval of the normal AUC holds both signs.
    """
    if (systems := pair(found)) is None:
        return "The compared systems do not include both OFF-CLIP and CARZero; the main table shows those compared."
    a, b = (found.label(s) for s in systems)
    row = _difference(found, "normal_auc", "prompt", OVERALL)
    if row is None:
        return "The difference in normal AUC was not measured."
    said = reading(row, found.settings.statistics.level)
    others = _significant(found)
    if said == "better":
        rise = f"over the four datasets {a}'s normal AUC is higher than {b}'s by {tables.estimate(row)}"
        return f"Mixed: {rise}, while other quantities are worse." if others["worse"] else f"Yes: {rise}."
    if said == "worse":
        turned = {"estimate": -row["estimate"], "low": -row["high"], "high": -row["low"]}
        fall = f"over the four datasets {a}'s normal AUC is lower than {b}'s by {tables.estimate(turned)}"
        return f"Mixed: {fall}, while other quantities are better." if others["better"] else f"No: {fall}."
    return f"Not shown: {a} minus {b} in normal AUC over the four datasets is {tables.estimate(row, sign=True)}."


def _price(found: Evidence) -> str:
    """What else is worse, or better: the quantities of ``COSTS`` whose difference is significant."""
    if (systems := pair(found)) is None:
        return ""
    parts = [f"is {verdict} in {names.join(listed)}" for verdict, listed in _significant(found).items() if listed]
    if not parts:
        return "None of the other quantities differs significantly over the four datasets."
    return f"Of the other quantities, over the four datasets, {found.label(systems[0])} {'; it '.join(parts)}."


def _significant(found: Evidence) -> dict[str, list[str]]:
    """The other quantities that are worse, and those that are better, over the datasets, with their differences."""
    said: dict[str, list[str]] = {"worse": [], "better": []}
    for quantity, score, words, more_is_better in COSTS:
        row = _difference(found, quantity, score, OVERALL)
        if row is not None and (verdict := reading(row, found.settings.statistics.level, more_is_better)) in said:
            said[verdict].append(f"{words[0].lower()}{words[1:]} ({tables.estimate(row, sign=True)})")
    return said


def _difference_cell(found: Evidence, row: select.Row | None, whole: bool) -> Cell:
    """A difference, with its interval over all datasets and without on one of them; bold where significant."""
    if row is None:
        return Cell(tables.MISSING)
    shown = tables.estimate(row, sign=True) if whole else tables.signed(row["estimate"])
    return Cell(shown, bold=select.is_significant(row, found.settings.statistics.level))


def _value(found: Evidence, dataset: str, system: str) -> str:
    """A system's normal AUC; over all datasets their mean, whose interval nobody measured."""
    if dataset == OVERALL:
        return tables.number(quantities.over_datasets(found, system, "normal_auc", "prompt"))
    row = quantities.macro(found, dataset, system, "normal_auc", "prompt")
    return f"{tables.estimate(row)}{found.seen_mark(system, dataset)}" if row else tables.MISSING


def banner(found: Evidence) -> str:
    """Which images were scored: published releases, or phantoms."""
    phantom = [names.dataset(name) for name, card in found.cards.items() if card["phantom"]]
    if not phantom:
        return "PUBLISHED DATASETS: every number was measured on the published releases named in the data cards."
    if len(phantom) < len(found.cards):
        return f"PARTLY PHANTOM: the images of {names.join(phantom)} are rendered; the others are published releases."
    return (
        "PHANTOM: every image was rendered from one public CT with simulated findings. The numbers compare methods"
        f"{' under a controlled budget' if found.trained else ''}; they say nothing about performance on patients."
    )


def _verdict_counts(found: Evidence) -> str:
    claims = found.results["claims"]
    if claims.empty:
        return ""
    # A claim that is tested on each dataset is judged on their mean.
    claims = claims[claims["verdict"] != "fact"]
    whole = claims.sort_values("dataset", key=lambda d: d != OVERALL, kind="stable").drop_duplicates("claim")
    counts = whole["verdict"].value_counts()
    listed = [f"{counts[v]} {v}" for v in VERDICTS if v in counts]
    return f"Of {len(whole)} published claims: {names.join(listed)}."


def _difference(found: Evidence, quantity: str, score: str, dataset: str) -> select.Row | None:
    if (systems := pair(found)) is None:
        return None
    return select.difference(found.results["differences"], *systems, dataset=dataset, quantity=quantity, score=score)

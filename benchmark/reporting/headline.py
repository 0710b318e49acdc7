"""The tables that answer the question: main table, paired differences, what they cost, normality scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.artifacts import quantities, select
from benchmark.artifacts.columns import CELL, NORMALITY_SCORES, OVERALL, SUPERVISED
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import names, releases, tables
from benchmark.reporting.answer import COSTS, DETECTION, difference, pair, reading
from benchmark.reporting.tables import EXCEEDS, Cell, Column, Table

REFERENCES = Path(__file__).parent / "references.csv"
FLOOR = "Thumbnail, 16 px (floor)"
"""Row of what a linear model on thumbnails reaches: the other end."""
REFERRED = ("normal_auc", "abnormal_auc", "abnormal_auc_visible")
"""Headline quantities that the supervised probe has too."""


def answer(found: Evidence) -> Table:
    """Normal AUC of the two systems of the question and their difference, dataset by dataset."""
    cells: tables.Cells = []
    records = []
    systems = pair(found)
    level = found.settings.statistics.level
    for dataset in (*found.datasets, OVERALL) if systems else ():
        row = difference(found, systems, DETECTION[0], dataset)
        if row is None or systems is None:
            continue
        values = [
            f"{_cell(quantities.macro(found, dataset, system, 'normal_auc', 'prompt')).text}"
            f"{found.seen_mark(system, dataset)}"
            for system in systems
        ]
        shown = Cell(tables.estimate(row, sign=True), bold=select.is_significant(row, level))
        said = reading(row, level)
        detectable = tables.number(row["detectable"])
        cells.append([names.dataset(dataset), *values, shown, tables.p_value(row["p_holm"]), detectable, said])
        records.append({**row, "reading": said})
    a, b = (found.label(system) for system in systems) if systems else ("", "")
    return tables.table(
        "answer",
        f"Normal AUC by the normal prompt (published protocol), with {found.interval}s over patients and seeds.",
        [
            Column("Dataset", "left"),
            Column(a),
            Column(b),
            Column("Difference"),
            Column("p, Holm"),
            Column("Detectable"),
            Column(f"{a} is" if a else "", "left"),
        ],
        cells,
        pd.DataFrame(records),
        note="Bold: significant.",
    )


def costs(found: Evidence) -> Table:
    """The quantities that the headline weighs on every dataset: what the method costs or gains elsewhere."""
    cells: tables.Cells = []
    records = []
    systems = pair(found)
    for asked in (*DETECTION[1:], *COSTS) if systems else ():
        rows = {d: difference(found, systems, asked, d) for d in found.datasets}
        if not any(rows.values()):
            continue
        cells.append([asked.words, *[_difference_cell(found, row) for row in rows.values()]])
        records += [row for row in rows.values() if row]
    return tables.table(
        "costs",
        f"The other quantities on each dataset: {found.label(systems[0])} minus {found.label(systems[1])}."
        if systems
        else "No pair of systems to compare.",
        [Column("Quantity", "left"), *[Column(names.dataset(d)) for d in found.datasets]],
        cells,
        pd.DataFrame(records),
        note="Bold: significant. Thresholds are fitted on the validation split of the training set.",
    )


def _difference_cell(found: Evidence, row: select.Row | None) -> Cell:
    if row is None:
        return Cell(tables.MISSING)
    bold = select.is_significant(row, found.settings.statistics.level)
    return Cell(tables.stacked(row, sign=True), bold)


def main(found: Evidence, systems: Sequence[str] | None = None, name: str = "main") -> Table:
    """Dataset x system: normal and abnormal AUC (all, visible findings), pointing game; the supervised reference."""
    systems = systems or found.everyone
    level = found.settings.statistics.level
    published = pd.read_csv(REFERENCES)
    cells: tables.Cells = []
    records = []
    for dataset in found.datasets:
        measured = {(s, q): quantities.macro(found, dataset, s, q, k) for s in systems for q, k in quantities.HEADLINE}
        leaders = {
            q: select.best(
                {s: row["estimate"] for s in systems if (row := measured[s, q]) is not None},
                found.results["differences"],
                level,
                dataset=dataset,
                quantity=q,
                score=k,
            )
            for q, k in quantities.HEADLINE
        }
        ceiling = {q: select.one(found.results["ceiling"], dataset=dataset, quantity=q, finding="") for q in REFERRED}
        for system in systems:
            shown: list[Cell | str] = [names.dataset(dataset), found.label(system, dataset)]
            for q, _ in quantities.HEADLINE:
                row = measured[system, q]
                missing = releases.no_heatmap(found, system) if q == "pointing" else tables.MISSING
                shown.append(_cell(row, leaders[q] == system, ceiling.get(q), missing))
                if row is not None:
                    records.append(_record(dataset, system, q, row))
            pointing = measured[system, "pointing"]
            reference = select.one(published, dataset=dataset, system=system)
            shown.append(tables.number(pointing["chance"]) if pointing else tables.MISSING)
            shown.append(tables.number(reference["value"]) if reference else tables.MISSING)
            cells.append(shown)
        if any(ceiling.values()):
            pointing = quantities.macro(found, dataset, SUPERVISED, "pointing", heatmap=CELL)
            reached = {**ceiling, "pointing": pointing}
            chance = tables.number(pointing["chance"]) if pointing else tables.MISSING
            known = [_cell(row) for row in reached.values()]
            cells.append([names.dataset(dataset), names.REFERENCE, *known, chance, tables.MISSING])
            records += [_record(dataset, SUPERVISED, q, row) for q, row in reached.items() if row is not None]
        if (floor := _floor(found, dataset)) is not None:
            cells.append([names.dataset(dataset), FLOOR, _cell(floor), *[tables.MISSING] * 5])
            records.append(_record(dataset, "thumbnail", "normal_auc", floor))
    columns = [
        Column("Dataset", "left"),
        Column("System", "left"),
        Column("Normal AUC"),
        Column("Abnormal AUC"),
        Column("Visible findings"),
        Column("Pointing game"),
        Column("Chance"),
        Column("Published*"),
    ]
    return tables.table(
        name,
        f"Main result: mean over seeds with {found.interval}s over patients and seeds.",
        columns,
        cells,
        pd.DataFrame(records),
        note="Abnormal AUC: macro over all findings; visible findings: over those that the supervised reference or a "
        f"system detects. {EXCEEDS} above the supervised reference, which is no ceiling. Floor: a linear model on "
        "thumbnails of 16 x 16 pixels, fitted to the training labels. Bold: significantly better than every other "
        "system on that dataset (paired bootstrap, Holm-adjusted where declared). Chance: share of the image that the "
        "ground-truth regions cover. *Published: macro AUC over findings that the paper reports on the real dataset "
        "(CARZero, arXiv 2402.17417, as reprinted in arXiv 2504.07416; CheXpert over 5 findings).",
        group_by=0,
    )


def differences(found: Evidence, best: str = "") -> Table:
    """Paired differences between the compared systems; of a ranking, whose pairs are many, those with the best."""
    data = found.results["differences"]
    if best and not data.empty:
        data = data[(data["a"] == best) | (data["b"] == best)]
    if not data.empty:
        # Each pair is stored in one direction; it is shown with the later system of `compare` first.
        place = {system: i for i, system in enumerate(found.systems)}
        stored = data[data["a"].isin(place) & data["b"].isin(place)]
        turned = [row if place[row["a"]] > place[row["b"]] else select.turned(row) for row in stored.to_dict("records")]
        data = pd.DataFrame(turned, columns=data.columns)
        data = data.sort_values(["a", "b"], key=lambda names: names.map(place), ascending=False, kind="stable")
        data = data[(data["quantity"] != "normal_auc") | data["score"].isin(NORMALITY_SCORES)]
    cells: tables.Cells = []
    for row in select.primary(data).to_dict("records"):
        detail = names.score(row["score"]) if row["quantity"] == "normal_auc" else names.rule(row.get("rule", ""))
        cells.append(
            [
                f"{found.label(row['a'])} − {found.label(row['b'])}",
                f"{names.quantity(row['quantity'])}, {detail}" if detail else names.quantity(row["quantity"]),
                f"{names.dataset(row['dataset'])}{releases.marks_of_pair(found, row)}",
                Cell(
                    tables.estimate(row, sign=True),
                    bold=select.is_significant(row, found.settings.statistics.level),
                ),
                tables.p_value(row["p"]),
                tables.p_value(row["p_holm"]),
            ]
        )
    columns = [
        Column("Systems", "left"),
        Column("Quantity", "left"),
        Column("Dataset", "left"),
        Column(f"Difference [{found.interval}]"),
        Column("p"),
        Column("p, Holm"),
    ]
    return tables.table(
        "differences",
        "Paired differences: the same resampled patients for both systems.",
        columns,
        cells,
        data,
        group_by=0,
        note="Bold: significant after Holm's adjustment within the declared family, or, outside it, an interval that "
        "excludes zero. A positive difference in false-positive or false-negative rate is a loss; thresholds other "
        "than Youden's are in tables/differences.csv.",
    )


def normality(found: Evidence) -> Table:
    """The three normality scores side by side: a ranking that is merely inverted must be seen as such."""
    cells: tables.Cells = []
    records = []
    for dataset in found.datasets:
        for system in found.everyone:
            shown: list[Cell | str] = [names.dataset(dataset), found.label(system, dataset)]
            for score in NORMALITY_SCORES:
                row = quantities.macro(found, dataset, system, "normal_auc", score)
                mark = " (inverted)" if row is not None and select.is_inverted(row["high"]) else ""
                shown.append(f"{tables.estimate(row)}{mark}" if row else tables.MISSING)
                if row is not None:
                    records.append({**_record(dataset, system, "normal_auc", row), "score": score})
            cells.append(shown)
        if (floor := _floor(found, dataset)) is not None:
            cells.append([names.dataset(dataset), FLOOR, _cell(floor), *[tables.MISSING] * (len(NORMALITY_SCORES) - 1)])
            records.append({**_record(dataset, "thumbnail", "normal_auc", floor), "score": "thumbnail"})
    return tables.table(
        "normality_scores",
        "Normal AUC by three normality scores.",
        [
            Column("Dataset", "left"),
            Column("System", "left"),
            *[Column(names.score(s).capitalize()) for s in NORMALITY_SCORES],
        ],
        cells,
        pd.DataFrame(records),
        note="Inverted: the whole interval lies below 0.5, so that the opposite ranking would do better; "
        "never counted as a gain.",
        group_by=0,
    )


def _floor(found: Evidence, dataset: str) -> select.Row | None:
    """The normal AUC of thumbnails on a dataset."""
    return select.one(found.results["ceiling"], dataset=dataset, quantity="thumbnail", finding="")


def _cell(
    row: select.Row | None, bold: bool = False, reference: select.Row | None = None, missing: str = tables.MISSING
) -> Cell:
    """A number with its interval, marked where it lies above the supervised reference."""
    above = row is not None and reference is not None and row["estimate"] > reference["estimate"]
    return Cell(f"{tables.estimate(row)}{EXCEEDS if above else ''}" if row is not None else missing, bold)


def _record(dataset: str, system: str, quantity: str, row: select.Row) -> dict[str, Any]:
    kept = ("estimate", "low", "high", "chance", "seeds", "seed_sd", "n")
    return {"dataset": dataset, "system": system, "quantity": quantity, **{k: row[k] for k in kept if k in row}}

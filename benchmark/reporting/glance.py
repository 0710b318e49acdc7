"""The tables of the first page: every system at a glance, the difference that was asked about, what its parts did."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmark.artifacts import quantities, select
from benchmark.artifacts.columns import BEST, OVERALL, WORST
from benchmark.artifacts.evidence import Evidence
from benchmark.pipeline.effects import other_start, split
from benchmark.reporting import names, tables
from benchmark.reporting.answer import COSTS, DETECTION, Asked, difference, pair, reading, twins
from benchmark.reporting.tables import Cell, Column, Table

SHOWN = (
    ("normal_auc", "prompt", "Normal AUC"),
    ("normal_auc", WORST, "Worst wording"),
    ("abnormal_auc", "", "Abnormal AUC"),
    ("abnormal_auc_among_abnormals", "", "among abnormals"),
    ("abnormal_auc_against_normals", "", "against normals"),
    ("pointing", "", "Pointing game"),
)
"""Quantity, score and heading of the columns of the first table."""
SPLIT = (DETECTION[0], DETECTION[1], COSTS[0], COSTS[2])


def systems(found: Evidence) -> Table:
    """Every compared system, from both starts: means over the datasets with intervals."""
    rows: tables.Cells = []
    records: list[dict[str, Any]] = []
    for system in (*found.systems, *found.scratch):
        start = "released" if system in found.released else names.STARTS[found.start(system)] if found.scratch else ""
        shown: list[Cell | str] = [start, _named(found, system)]
        for quantity, score, _ in SHOWN:
            row = quantities.macro(found, OVERALL, system, quantity, score)
            shown.append(tables.stacked(row))
            if row is not None:
                records.append(_record(system, found.start(system), row, quantity, score))
        best = quantities.macro(found, OVERALL, system, "normal_auc", BEST)
        worst = quantities.macro(found, OVERALL, system, "normal_auc", WORST)
        if best is not None and worst is not None:
            shown.insert(4, f"{tables.number(worst['estimate'], 2)}–{tables.number(best['estimate'], 2)}")
        else:
            shown.insert(4, tables.MISSING)
        pointing = quantities.macro(found, OVERALL, system, "pointing")
        shown.append(tables.number(pointing["chance"], 2) if pointing is not None else tables.MISSING)
        rows.append(shown)
    heads = [Column(title) for *_, title in SHOWN]
    heads.insert(2, Column("All wordings"))
    return tables.table(
        "systems",
        f"Every system: means over the four datasets, with {found.interval}s over patients and seeds.",
        [Column("Start", "left"), Column("System", "left"), *heads, Column("Chance")],
        rows,
        pd.DataFrame(records),
        note="Worst wording: of the normal prompt, per run and dataset. Abnormal AUC: positives against all other "
        "images, against abnormal ones, against normal ones. Chance: of the pointing game.",
        group_by=0,
    )


def decision(found: Evidence) -> Table:
    """The two systems of the question: the difference in every quantity that the headline weighs, from both starts."""
    starts = [one for one in (pair(found), twins(found)) if one]
    level = found.settings.statistics.level
    rows: tables.Cells = []
    records: list[dict[str, Any]] = []
    for asked in (*DETECTION, *COSTS) if starts else ():
        if (whole := difference(found, starts[0], asked)) is None:
            continue
        said = reading(whole, level, asked.more_is_better)
        shown: list[Cell | str] = [
            asked.words,
            Cell(tables.estimate(whole, sign=True), select.is_significant(whole, level)),
        ]
        shown += [tables.p_value(whole["p_holm"]), tables.number(whole["detectable"]), said]
        for other in starts[1:]:
            row = difference(found, other, asked)
            bold = row is not None and select.is_significant(row, level)
            shown.append(Cell(tables.estimate(row, sign=True) if row else tables.MISSING, bold))
            shown.append(reading(row, level, asked.more_is_better) if row else tables.MISSING)
            records += [{**row, "start": found.start(other[0])}] if row else []
        rows.append(shown)
        records.append({**whole, "start": found.start(starts[0][0]), "reading": said})
    labels = [found.label(s) for s in starts[0]] if starts else ["", ""]
    columns = [
        Column("Quantity, mean over the datasets", "left"),
        Column("Difference" if len(starts) < 2 else "Pretrained"),
    ]
    columns += [Column("p, Holm"), Column("Detectable"), Column(f"{labels[0]} is", "left")]
    for other in starts[1:]:
        start = names.STARTS[found.start(other[0])]
        columns += [Column(f"{start[0].upper()}{start[1:]}"), Column("is", "left")]
    return tables.table(
        "decision",
        f"{labels[0]} minus {labels[1]}, with {found.interval}s." if starts else "No pair of systems to compare.",
        columns,
        rows,
        pd.DataFrame(records),
        note="Bold: significant, after Holm's adjustment where declared (p shown), else by its interval. Detectable: "
        "the smallest difference found with 80 % power.",
    )


def parts(found: Evidence) -> Table:
    """The gain split into the two parts in which the systems of the question differ, from each start that allows it."""
    rows: tables.Cells = []
    records: list[dict[str, Any]] = []
    level = found.settings.statistics.level
    for systems in (pair(found), twins(found)):
        way = split(found.settings, *systems) if systems else None
        if way is None:
            continue
        start = names.STARTS[found.start(way.a)]
        (first, with_first), (second, with_second) = way.alone
        steps = [
            (f"{first} alone", with_first, way.b),
            (f"{second} alone", with_second, way.b),
            (f"{first}, given {second}", way.a, with_second),
            (f"{second}, given {first}", way.a, with_first),
            ("both", way.a, way.b),
        ]
        for what, a, b in steps:
            found_rows = [difference(found, (a, b), asked) for asked in SPLIT]
            if not any(found_rows):
                continue
            cells = [
                Cell(tables.estimate(row, sign=True), _sure(found, row, level)) if row else Cell(tables.MISSING)
                for row in found_rows
            ]
            rows.append([start[0].upper() + start[1:], f"{what[0].upper()}{what[1:]}", *cells])
            records += [{**row, "start": found.start(way.a), "change": what} for row in found_rows if row]
    return tables.table(
        "gain_split",
        f"What each part of the gain does, means over the four datasets, with {found.interval}s.",
        [Column("Start", "left"), Column("Change", "left"), *map(_head, SPLIT)],
        rows,
        pd.DataFrame(records),
        note="Bold: significant after the adjustment of its family.",
        group_by=0,
    )


def _head(asked: Asked) -> Column:
    return Column(asked.words.replace("the same, positives", "Positives").replace(" images", ""))


def _sure(found: Evidence, row: select.Row, level: float) -> bool:
    return select.is_significant(adjusted(found, row), level)


def adjusted(found: Evidence, row: select.Row) -> select.Row:
    """A difference with the adjusted p of effects.csv where it is an effect of a family and has none of its own."""
    if pd.notna(row.get("p_holm")):
        return row
    where = {"dataset": row["dataset"], "quantity": row["quantity"], "score": row["score"], "rule": row["rule"]}
    data = select.rows(found.results["effects"], kind="effect", **where)
    for added, removed in ((row["a"], row["b"]), (row["b"], row["a"])):
        if (effect := select.one(data, added=added, removed=removed)) is not None:
            return {**row, "p_holm": effect["p_holm"]}
    return row


def _named(found: Evidence, system: str) -> str:
    """A system's name where another column says where it starts: that of the compared system with the same parts."""
    other = other_start(found.settings, system) if system in found.scratch else None
    return found.label(other or system)


def _record(system: str, start: str, row: select.Row, quantity: str, score: str) -> dict[str, Any]:
    kept = {key: row[key] for key in ("estimate", "low", "high", "seeds", "seed_sd") if key in row}
    return {"system": system, "start": start, "quantity": quantity, "score": score, **kept}

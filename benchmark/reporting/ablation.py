"""The content of reports/ablation.pdf: what each part of the method does on its own.

A system is the sum of its parts (params.yaml: model, objective with its options, captions). Two systems
that differ in exactly one part measure that part; the same part measured beside different other parts
shows how far the parts interact.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.artifacts import select
from benchmark.artifacts.columns import OVERALL
from benchmark.artifacts.evidence import Evidence
from benchmark.pipeline.effects import PARTS, Effect, effects, parts, split
from benchmark.reporting import detail, headline, names, tables
from benchmark.reporting.answer import pair
from benchmark.reporting.document import Document, drawn
from benchmark.reporting.figures import effects as figure
from benchmark.reporting.glance import adjusted
from benchmark.reporting.tables import Cell, Column, Table

QUANTITIES = (("normal_auc", "prompt"), ("abnormal_auc", ""), ("false_negative_rate", "prompt"), ("pointing", ""))


def build(found: Evidence, figures: Path) -> Document:
    """Make the ablation's tables and figure."""
    systems = members(found)
    known = effects_of(found, systems)
    return Document(
        name="ablation",
        tables=(
            parts_table(found, systems),
            headline.main(found, systems, "ablation_main"),
            effects_table(found, known),
            interaction_table(found),
            detail.seeds(found, systems, "ablation_seeds"),
        ),
        images=drawn(effects=figure.draw(found, known, figures)),
        words={"answers": [line for q in QUANTITIES[:2] if (line := answer(found, known, *q))]},
    )


def answer(found: Evidence, known: list[Effect], quantity: str, score: str) -> str:
    """Which single changes move a quantity after Holm's adjustment, and which way; "" where none was measured."""
    rows = [(effect, difference(found, effect, quantity, score, OVERALL)) for effect in known]
    measured = [(effect, row) for effect, row in rows if row is not None]
    if not measured:
        return ""
    # An effect without an adjusted p belongs to no family, so nothing can be said to survive the adjustment.
    sure = [(e, row) for e, row in measured if _survives(found, row)]
    said = []
    for verb, sign in (("raise", 1), ("lower", -1)):
        moved = [
            f"{names.readable(f'{effect.before} → {effect.after}')} ({found.label(effect.a)} against "
            f"{found.label(effect.b)}) by {tables.estimate(row, sign=True)}"
            for effect, row in sure
            if row["estimate"] * sign > 0
        ]
        if moved:
            verb += "s" if len(moved) == 1 else ""
            said.append(f"{len(moved)} {verb} it: {'; '.join(moved)}")
    moves = ". ".join(said) if said else "none changes it significantly"
    return f"{names.quantity(quantity)}: of {len(measured)} single changes, after Holm's adjustment, {moves}."


def members(found: Evidence) -> tuple[str, ...]:
    """The ablation's rows, led by the two systems that it lies between and those on the way from one to the other."""
    ends = pair(found)
    way = split(found.settings, *ends) if ends else None
    corners = [system for _, system in way.alone] if way else []
    return tuple(dict.fromkeys([*(ends or ())[::-1], *corners[::-1], *found.settings.ablation]))


def effects_of(found: Evidence, systems: tuple[str, ...]) -> list[Effect]:
    """Every measured pair of systems that differ in one part alone, the one nearer to the full method first."""
    return [one for one in effects(found.settings, systems) if _is_measured(found, one.a, one.b)]


def _is_measured(found: Evidence, a: str, b: str) -> bool:
    quantity, score = QUANTITIES[0]
    where = {"dataset": OVERALL, "quantity": quantity, "score": score}
    return select.difference(found.results["differences"], a, b, **where) is not None


def _survives(found: Evidence, row: select.Row) -> bool:
    """Whether a difference is significant by the adjusted p of its family; never without one."""
    row = adjusted(found, row)
    return pd.notna(row.get("p_holm")) and select.is_significant(row, found.settings.statistics.level)


def parts_table(found: Evidence, systems: tuple[str, ...]) -> Table:
    """What each row of the ablation is made of."""
    records = [{"system": s, "label": found.label(s), **parts(found.settings.systems[s])} for s in systems]
    return tables.table(
        "ablation_parts",
        "The systems of the ablation and their parts.",
        [Column("System", "left"), *[Column(part.capitalize(), "left") for part in PARTS]],
        [[r["label"], *[names.readable(r[part]) for part in PARTS]] for r in records],
        pd.DataFrame(records),
    )


def effects_table(found: Evidence, known: list[Effect]) -> Table:
    """The marginal effect of each part, averaged over the datasets."""
    cells, records = [], []
    for effect in known:
        shown: list[Cell | str] = [
            effect.part.capitalize(),
            names.readable(f"{effect.before} → {effect.after}"),
            f"{found.label(effect.a)} minus {found.label(effect.b)}",
        ]
        for quantity, score in QUANTITIES:
            row = difference(found, effect, quantity, score, OVERALL)
            if row is None:
                shown.append(tables.MISSING)
                continue
            shown.append(Cell(tables.estimate(row, sign=True), bold=_survives(found, row)))
            records.append({"part": effect.part, "after": effect.after, "before": effect.before, **row})
        cells.append(shown)
    return tables.table(
        "ablation_effects",
        f"Marginal effect of each part: mean over the datasets, paired, with {found.interval}s.",
        [
            Column("Part", "left"),
            Column("Change", "left", wide=1),
            Column("Measured as", "left", wide=1),
            *[Column(names.quantity(q)) for q, _ in QUANTITIES],
        ],
        cells,
        pd.DataFrame(records),
        note="Bold: significant after Holm's adjustment over all effects and interactions on normal and abnormal "
        "AUC; the other quantities are not adjusted, and never bold. A positive effect on the false-negative rate is "
        "a loss. The same change appears in several rows, each beside different other parts; where they disagree, the "
        "parts interact.",
        group_by=0,
    )


def interaction_table(found: Evidence) -> Table:
    """Difference of differences: does one part help more beside another?"""
    data = found.results["effects"]
    if not data.empty:
        data = select.primary(select.rows(data, dataset=OVERALL, kind="interaction"))
        data = data[[named in QUANTITIES for named in zip(data["quantity"], data["score"], strict=True)]]
    cells = [
        [
            names.readable(row["effect"]),
            names.quantity(row["quantity"]),
            tables.estimate(row, sign=True),
            tables.p_value(row["p"]),
            tables.p_value(row["p_holm"]),
        ]
        for row in data.to_dict("records")
    ]
    return tables.table(
        "ablation_interaction",
        "Interaction: how much the effect of one change depends on another, mean over the datasets.",
        [
            Column("Interaction", "left"),
            Column("Quantity", "left"),
            Column(f"Estimate [{found.interval}]"),
            Column("p"),
            Column("p, Holm"),
        ],
        cells,
        data,
        group_by=0,
    )


def difference(found: Evidence, effect: Effect, quantity: str, score: str, dataset: str) -> select.Row | None:
    """The paired difference that measures an effect."""
    return select.difference(
        found.results["differences"], effect.a, effect.b, dataset=dataset, quantity=quantity, score=score
    )

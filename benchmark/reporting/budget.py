"""What every run spent, and whether the budgets match."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import names, tables
from benchmark.reporting.tables import Column, Table

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
                "start": entry.get("start", {}).get("kind", ""),
                "start_flops": entry.get("start", {}).get("flops"),
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
            tables.number(_or_nan(r["start_flops"]) / 1e12, 2),
            tables.number(_or_nan(r["device_seconds"]), 0),
            tables.number(_or_nan(r["peak_memory_bytes"]) / 1e9, 2),
            tables.count(_or_nan(r["parameters"])),
        ]
        for r in records
    ]
    heads = ["Steps", "Pairs seen", "TFLOP", "Start, TFLOP", "Seconds", "Peak memory, GB", "Parameters"]
    return tables.table(
        "ledger",
        f"Budget ledger: {in_words(found)} for every {'trained ' if found.released else ''}system.",
        [Column("System", "left"), Column("Seed", "center"), *[Column(h) for h in heads]],
        cells,
        pd.DataFrame(records),
        note=" ".join(line for line in (matched(found), start(found)) if line),
        group_by=0,
    )


def in_words(found: Evidence) -> str:
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


def start(found: Evidence) -> str:
    """Where the systems start and what that cost before any budget; "" where all were released or from scratch."""
    starts = [run.ledger["start"] for run in found.runs if run.ledger.get("start")]
    if any(one["kind"] == "given" for one in starts):
        return (
            "The image towers start from the weights that encoders.image.init names, the same for every seed; "
            "intervals hold for this start and do not say what another would give."
        )
    spent = {one["flops"] for one in starts if one["flops"]}
    if not spent:
        return ""
    cost = names.join([f"{value / 1e12:.3g} TFLOP" for value in sorted(spent)])
    scratch = " Systems from scratch did not pay it." if found.scratch else ""
    return (
        f"Each training seed has a pretrained start of its own, which cost {cost} and is shared by all systems of the "
        f"seed that begin from it.{scratch}"
    )


def _or_nan(value: Any) -> float:
    return float("nan") if value is None else float(value)

"""Whether the statistics keep their promises: the coverage study as two tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmark.artifacts import select
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import tables
from benchmark.reporting.tables import Column, Table

FORMS = ("percentile", "logit", "bca")
CHECKS = {"coverage": "Coverage", "rejection": "Rejection", "power": "Power"}
IN_USE = ("apart seeds", "moderated seeds")
"""The form in use: from scratch the first, which other studies do not have."""
SEED_COLUMNS = (
    ("Cover\nin use", "coverage", ""),
    ("System\nin use", "coverage of a system", ""),
    ("Alarm\nown", "rejection", "own seeds"),
    ("Alarm\npooled", "rejection", "pooled seeds"),
    ("Alarm\nin use", "rejection", ""),
    ("Power\nown", "power", "own seeds"),
    ("Power\nin use", "power", ""),
    ("At 5 %\nown", "power at 5 %", "own seeds"),
    ("At 5 %\nin use", "power at 5 %", ""),
    ("Power\nknown", "power", "known variance"),
)
"""Head, check and form of each column; no form: the one in use."""


def _groups(data: pd.DataFrame, keys: list[str]) -> list[tuple[tuple[Any, ...], pd.DataFrame]]:
    """Groups in the file's order."""
    if data.empty:
        return []
    return [(key if isinstance(key, tuple) else (key,), group) for key, group in data.groupby(keys, sort=False)]


def promises(found: Evidence) -> Table:
    """Whether 95 % intervals cover the truth and tests at 5 % stay at 5 %, on simulated studies."""
    data = found.results["coverage"]
    if not data.empty:
        data = data[data["form"].isin(FORMS)]
    cells = []
    for (check, setting), group in _groups(data, ["check", "setting"]):
        shown = [CHECKS[check], setting]
        for form in FORMS:
            row = select.one(group, form=form)
            shown.append(tables.estimate({**row, "estimate": row["value"]}) if row else tables.MISSING)
        chosen = select.one(group, form=found.settings.statistics.interval) or {}
        kept = {"true": "yes", "false": "no"}.get(str(chosen.get("met", "")).lower(), tables.MISSING)
        cells.append([*shown, tables.count(group["simulations"].iloc[0]), kept])
    return tables.table(
        "promises",
        "The statistics tested on simulated studies whose truth is known.",
        [
            Column("Check", "left"),
            Column("Setting", "left", wide=1),
            *[Column(form) for form in FORMS],
            Column("Studies"),
            Column("Kept", "center"),
        ],
        cells,
        data,
        note="Coverage: share of 95 % intervals that hold the true AUC; promised 0.93 to 0.97. Rejection: share of "
        "equal systems told apart at 5 %; promised at most 0.06. Power: share of true differences found; no promise. "
        f"This report's intervals are of the form {found.settings.statistics.interval}; Kept speaks of it.",
        group_by=0,
    )


def seed_promises(found: Evidence) -> Table:
    """The same for comparisons over few training seeds: which estimate of their variance keeps the promises."""
    data = found.results["coverage"]
    if not data.empty:
        data = data[~data["form"].isin(FORMS)]
    cells = []
    for (setting,), group in _groups(data, ["setting"]):
        shown = [setting]
        used = next(form for form in IN_USE if form in set(group["form"]))
        for _, check, form in SEED_COLUMNS:
            row = select.one(group, check=check, form=form or used)
            shown.append(tables.number(row["value"]) if row else tables.MISSING)
        cells.append(shown)
    return tables.table(
        "seed_promises",
        "Few training seeds, on simulated studies of nine systems and four datasets.",
        [Column("Setting", "left", wide=1), *[Column(head) for head, _, _ in SEED_COLUMNS]],
        cells,
        data,
        note="Sd: a system's AUC between seeds, a quarter of its variance shared by all systems. Cover: share of 95 % "
        "intervals that hold the truth, of one system (promised 0.93 to 0.97) and of a difference (to 0.98: cautious "
        "where each system reacts its own way to a seed, to hold where families of them react alike). Alarm: equal "
        "systems told apart at 5 %; promised at most 0.06. Nothing is promised of the limits; from scratch, with "
        "five seeds, only 0.93 at least and 0.06 at most. Power: a difference of 0.03 found; at 5 %: with the "
        "threshold moved until 5 % of equal systems are told apart, for a test of too many alarms finds more of "
        "everything. In use: moderated variances, and from scratch each system's own, which is cautious; own: a "
        "pair's own seeds, the patients' errors of each seed counted twice; pooled: one variance for all; known: "
        "what no estimate can beat.",
    )

"""Every training seed of every compared system, from both starts: the spread, the worst one, what is inverted."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.artifacts import select
from benchmark.artifacts.columns import OVERALL
from benchmark.artifacts.evidence import Evidence
from benchmark.pipeline.effects import other_start
from benchmark.reporting import names
from benchmark.reporting.figures.style import GREY, Plot, drawing, looks

NONE = "No seed of any system is inverted."


def draw(found: Evidence, folder: Path) -> Plot | None:
    """Normal AUC of each seed, mean over the datasets, a panel a start; None where nothing was measured."""
    table = _seeds(found)
    panels = [systems for systems in (found.systems, found.scratch) if not select.rows(table, system=systems).empty]
    if not panels:
        return None
    rows = max(len(systems) for systems in panels)
    shape = {"sharex": True}
    with drawing(folder / "seeds.svg", 1, len(panels), height=0.62 + 0.13 * rows, mark=found.mark, **shape) as (
        _,
        axes,
    ):
        for axis, systems in zip(axes[0], panels, strict=True):
            look = looks(systems)
            axis.axvline(0.5, color=GREY, linewidth=0.8)
            for y, system in enumerate(systems):
                mine = select.rows(table, system=system)
                if mine.empty:
                    continue
                colour = look[system].colour
                axis.plot([mine["estimate"].min(), mine["estimate"].max()], [y, y], color=colour, linewidth=0.8)
                axis.plot(mine["estimate"], [y] * len(mine), "o", color=colour, markersize=3.5)
                inverted = mine[mine["high"].map(select.is_inverted)]
                axis.plot(inverted["estimate"], [y] * len(inverted), "x", color="black", markersize=6)
                worst = mine["estimate"].min()
                axis.annotate(
                    f"{worst:.3f}", (worst, y), (-4, 0), textcoords="offset points", ha="right", va="center", fontsize=6
                )
            axis.set_yticks(range(len(systems)), [_label(found, system) for system in systems])
            axis.set_ylim(len(systems) - 0.4, -0.6)
            axis.grid(axis="y", visible=False)
            axis.margins(x=0.12)
            if found.scratch:
                axis.set_title(names.STARTS[found.start(systems[0])])
            axis.set_xlabel("normal AUC, mean over the datasets", labelpad=1)
    said = [line for systems in panels for system in systems if (line := inversions(found, system))]
    return Plot(
        "seeds.svg",
        f"Every training seed (number: the worst; cross: inverted, its interval below 0.5). {' '.join(said) or NONE}",
        "A dot for each training seed of each system, from both starts",
    )


def inversions(found: Evidence, system: str) -> str:
    """How often a system is inverted: of its seeds on the mean over datasets, and of all seeds and datasets."""
    table = _seeds(found, every=True)
    mine = select.rows(table, system=system)
    if mine.empty:
        return ""
    inverted = mine["high"].map(select.is_inverted)
    whole = mine["dataset"] == OVERALL
    if not inverted.any():
        return ""
    return (
        f"{found.label(system)}: {int(inverted[whole].sum())} of {int(whole.sum())} seeds inverted on the mean, "
        f"{int(inverted[~whole].sum())} of {int((~whole).sum())} on single datasets."
    )


def _seeds(found: Evidence, every: bool = False) -> pd.DataFrame:
    where = {"quantity": "normal_auc", "score": "prompt", "progress": 1.0} | ({} if every else {"dataset": OVERALL})
    table = select.rows(found.results["auc"], **where)
    return table if table.empty else table[table["seed"] != "all"]


def _label(found: Evidence, system: str) -> str:
    other = other_start(found.settings, system) if system in found.scratch else None
    return found.label(other or system)

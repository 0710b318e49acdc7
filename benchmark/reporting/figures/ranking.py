"""The ranking of released models: each one's normal AUC, and what separates it from the best."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.artifacts import quantities, select
from benchmark.artifacts.columns import OVERALL
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting.figures.style import GREY, INK, NORMAL, Plot, drawing


def draw(found: Evidence, order: Sequence[str], quantity: str, score: str, folder: Path) -> Plot | None:
    """A row for each model, best first; None where there is nothing to compare.

    Args:
        found: what was measured.
        order: the models, best first.
        quantity: by which they are ranked.
        score: of that quantity.
        folder: for the figure.
    """
    values = {system: quantities.macro(found, OVERALL, system, quantity, score) for system in order}
    gaps = {system: select.difference(found.results["ranking"], system, order[0]) for system in order[1:]}
    if not any(gaps.values()):
        return None
    level = found.settings.statistics.level
    height = 0.9 + 0.19 * len(order)
    with drawing(folder / "ranking.svg", 1, 2, height=height, mark=found.mark, sharey=True) as (_, axes):
        left, right = axes[0]
        right.axvline(0, color=INK, linewidth=0.8)
        for y, system in enumerate(order):
            if (row := values[system]) is not None:
                left.plot([row["low"], row["high"]], [y, y], color=NORMAL, linewidth=1.4)
                left.plot(row["estimate"], y, "o", color=NORMAL, markersize=4.5)
            gap = gaps.get(system)
            if gap is None or pd.isna(gap["low"]):
                continue
            sure = select.is_significant(gap, level)
            colour = NORMAL if sure else GREY
            right.plot([gap["low"], gap["high"]], [y, y], color=colour, linewidth=1.4)
            right.plot(gap["estimate"], y, "o", color=colour, markerfacecolor=colour if sure else "white", markersize=5)
        left.set_yticks(range(len(order)), [found.label(system, OVERALL) for system in order])
        left.set_ylim(len(order) - 0.5, -0.5)
        left.set_title("Normal AUC")
        right.set_title(f"Minus {found.label(order[0])}")
        for axis in (left, right):
            axis.grid(axis="y", visible=False)
            axis.xaxis.set_major_formatter(lambda value, _: f"{value:z.3g}".replace("-", "−"))
    return Plot(
        "ranking.svg",
        f"Left: normal AUC, mean over the datasets, with {found.interval}s. Right: difference from the best, with "
        "intervals that hold for all pairs together. Filled: significant after Holm's adjustment over all pairs.",
        "Normal AUC of each model and its difference from the best",
    )

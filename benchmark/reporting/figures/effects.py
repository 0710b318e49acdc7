"""Marginal effects of the method's parts, a row per pair of systems that differ in that part alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.artifacts import select
from benchmark.artifacts.columns import OVERALL
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import names
from benchmark.reporting.figures.style import GREY, INK, Plot, drawing
from benchmark.reporting.glance import adjusted

if TYPE_CHECKING:
    from benchmark.pipeline.effects import Effect

PANELS = (("normal_auc", "prompt"), ("abnormal_auc", ""))


def draw(found: Evidence, effects: Sequence[Effect], folder: Path) -> Plot | None:
    """Normal and abnormal AUC effects: small marks are datasets, the large one their mean."""
    table = found.results["differences"]
    if table.empty or not effects:
        return None
    height = 0.7 + 0.21 * len(effects)
    with drawing(folder / "ablation_effects.svg", 1, 2, height=height, mark=found.mark, sharey=True) as (_, axes):
        for axis, (quantity, score) in zip(axes[0], PANELS, strict=True):
            axis.axvline(0, color=INK, linewidth=0.8)
            for y, effect in enumerate(effects):
                where = {"quantity": quantity, "score": score}
                for dataset in found.datasets:
                    if row := select.difference(table, effect.a, effect.b, dataset=dataset, **where):
                        axis.plot(row["estimate"], y + 0.22, "|", color=GREY, markersize=4)
                if row := select.difference(table, effect.a, effect.b, dataset=OVERALL, **where):
                    row = adjusted(found, row)
                    sure = select.is_significant(row, found.settings.statistics.level)
                    colour = "#0072B2" if sure else GREY
                    axis.plot([row["low"], row["high"]], [y, y], color=colour)
                    axis.plot(row["estimate"], y, "o", color=colour, markerfacecolor=colour if sure else "white")
            axis.set_title(f"effect on {names.quantity(quantity)[0].lower()}{names.quantity(quantity)[1:]}")
            axis.grid(axis="y", visible=False)
        axes[0][0].set_yticks(
            range(len(effects)),
            [f"{names.readable(e.change)}\n({found.label(e.a)} minus {found.label(e.b)})" for e in effects],
            fontsize=6,
        )
        axes[0][0].invert_yaxis()
    return Plot(
        "ablation_effects.svg",
        f"Marginal effect of each part with {found.interval}, mean over the datasets; ticks below: each dataset. "
        "Filled: significant after Holm's adjustment.",
        "Forest plot of the effect of each part on normal and abnormal AUC",
    )

"""ROC curves of the normal class with the band of the training seeds."""

from __future__ import annotations

from pathlib import Path

from benchmark.artifacts import select
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import names
from benchmark.reporting.figures.style import GREY, Plot, drawing, legend_above, looks


def draw(found: Evidence, folder: Path) -> Plot | None:
    """A panel per dataset, a curve per system; None where no curve was measured."""
    table = select.rows(found.results["roc"], score="prompt")
    if table.empty:
        return None
    look = looks(found.systems)
    shape = {"sharex": True, "sharey": True}
    with drawing(folder / "roc.svg", 1, len(found.datasets), height=2.3, mark=found.mark, **shape) as (figure, axes):
        for axis, dataset in zip(axes[0], found.datasets, strict=True):
            axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.6)
            for system in found.systems:
                curve = select.rows(table, dataset=dataset, system=system).sort_values("false_negative_rate")
                if curve.empty:
                    continue
                x, one = curve["false_negative_rate"], look[system]
                axis.fill_between(x, curve["low"], curve["high"], color=one.colour, alpha=0.2, linewidth=0)
                axis.plot(x, curve["specificity"], color=one.colour, linestyle=one.line, label=found.label(system))
            axis.set_title(names.dataset(dataset))
            axis.set_aspect("equal")
            axis.set_xticks([0, 0.5, 1])
            axis.set_yticks([0, 0.5, 1])
        axes[0][0].set_ylabel("specificity")
        figure.supxlabel("1 − sensitivity", fontsize=7.5)
        legend_above(figure, axes[0][0], len(found.systems))
    return Plot(
        "roc.svg",
        "ROC curves of the normal class by the normal prompt. Line: mean over seeds; band: lowest to highest seed.",
        "ROC curves, a panel per dataset and a line per system",
    )

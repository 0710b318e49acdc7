"""ROC curves by the normal prompt with a bootstrap band; disease is the positive class."""

from __future__ import annotations

from pathlib import Path

from benchmark.artifacts import select
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import names
from benchmark.reporting.figures.style import GREY, Plot, drawing, legend_above, looks


def draw(found: Evidence, folder: Path) -> Plot | None:
    """A column per dataset, a row per start, a curve per system; None where no curve was measured."""
    table = select.rows(found.results["roc"], score="prompt")
    starts = [systems for systems in (found.systems, found.scratch) if not select.rows(table, system=systems).empty]
    if not starts:
        return None
    shape = {"sharex": True, "sharey": True}
    height = 0.55 + 1.75 * len(starts)
    with drawing(folder / "roc.svg", len(starts), len(found.datasets), height=height, mark=found.mark, **shape) as (
        figure,
        axes,
    ):
        for line, systems in zip(axes, starts, strict=True):
            look = looks(systems)
            for axis, dataset in zip(line, found.datasets, strict=True):
                axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.6)
                for system in systems:
                    curve = select.rows(table, dataset=dataset, system=system).sort_values("false_positive_rate")
                    if curve.empty:
                        continue
                    x, one = curve["false_positive_rate"], look[system]
                    axis.fill_between(x, curve["low"], curve["high"], color=one.colour, alpha=0.15, linewidth=0)
                    axis.plot(x, curve["sensitivity"], color=one.colour, linestyle=one.line, label=found.label(system))
                axis.set_aspect("equal")
                axis.set_xticks([0, 0.5, 1])
                axis.set_yticks([0, 0.5, 1])
            start = f"{names.STARTS[found.start(systems[0])]}\n" if len(starts) > 1 else ""
            line[0].set_ylabel(f"{start}sensitivity")
        for axis, dataset in zip(axes[0], found.datasets, strict=True):
            axis.set_title(names.dataset(dataset))
        figure.supxlabel("1 − specificity", fontsize=7.5)
        legend_above(figure, axes[0][0], len(starts[0]))
    return Plot(
        "roc.svg",
        "ROC curves of abnormal against normal images by the normal prompt. Line: mean over seeds; band: pointwise "
        f"bootstrap {found.interval} over patients and seeds.",
        "ROC curves, a column per dataset and a line per system",
    )

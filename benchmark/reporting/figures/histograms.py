"""Histograms of the normality score by truth: does the score separate, and how."""

from __future__ import annotations

from pathlib import Path

from benchmark.artifacts import select
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import names
from benchmark.reporting.figures.style import ABNORMAL, NORMAL, Plot, drawing, legend_above


def draw(found: Evidence, folder: Path) -> Plot | None:
    """Rows are systems, columns datasets; None where no histogram was measured."""
    table = select.rows(found.results["histograms"], score="prompt")
    systems = [s for s in found.systems if not select.rows(table, system=s).empty]
    if not systems:
        return None
    shape = {"sharex": True, "sharey": "row"}
    rows, height = len(systems), 0.5 + 1.05 * len(systems)
    with drawing(folder / "histograms.svg", rows, len(found.datasets), height=height, mark=found.mark, **shape) as (
        figure,
        axes,
    ):
        for line, system in zip(axes, systems, strict=True):
            for axis, dataset in zip(line, found.datasets, strict=True):
                for normal, colour, dash, label in ((1, NORMAL, "-", "normal"), (0, ABNORMAL, "--", "abnormal")):
                    bins = select.rows(table, dataset=dataset, system=system, normal=normal).sort_values("bin_low")
                    if bins.empty:
                        continue
                    edges = [*bins["bin_low"], bins["bin_high"].iloc[-1]]
                    if normal:  # filled against dashed: distinguishable in a grey print as well
                        axis.stairs(bins["share"], edges, fill=True, color=colour, alpha=0.35)
                    axis.stairs(bins["share"], edges, color=colour, linewidth=1, linestyle=dash, label=label)
                axis.grid(visible=False)
                axis.set_yticks([])
            line[0].set_ylabel(found.label(system))
        for axis, dataset in zip(axes[0], found.datasets, strict=True):
            axis.set_title(names.dataset(dataset))
        figure.supxlabel("score of the normal prompt, standard deviations from the validation mean", fontsize=7.5)
        legend_above(figure, axes[0][0], 2)
    return Plot(
        "histograms.svg",
        "Scores of the normal prompt by label: share of the normal (or abnormal) images per bin, mean over "
        "seeds; heights are comparable within a row.",
        "Histograms of the normality score for normal and abnormal images",
    )

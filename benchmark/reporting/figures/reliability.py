"""Reliability diagrams: of images called normal with probability p, how many are."""

from __future__ import annotations

from pathlib import Path

from benchmark.artifacts import select
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import names
from benchmark.reporting.figures.style import GREY, Plot, drawing, legend_above, looks

ROWS = ("as fitted", "prior corrected")


def draw(found: Evidence, folder: Path) -> Plot | None:
    """A column per dataset, above the probabilities as they are, below after prior correction; None without them."""
    table = select.rows(found.results["reliability"], system=found.systems)
    if table.empty:
        return None
    look = looks(found.systems)
    shape = {"sharex": True, "sharey": True}
    with drawing(folder / "reliability.svg", 2, len(found.datasets), height=3.6, mark=found.mark, **shape) as (
        figure,
        axes,
    ):
        for corrected, line in enumerate(axes):
            for axis, dataset in zip(line, found.datasets, strict=True):
                axis.plot([0, 1], [0, 1], color=GREY, linewidth=0.6)
                for system in found.systems:
                    one = look[system]
                    mine = select.rows(table, dataset=dataset, system=system, prior_corrected=corrected)
                    style = {"color": one.colour, "linestyle": one.line, "marker": one.marker, "markersize": 2.5}
                    axis.plot(mine["probability"], mine["share_normal"], label=found.label(system), **style)
                axis.set_aspect("equal")
                axis.set_xticks([0, 0.5, 1])
                axis.set_yticks([0, 0.5, 1])
            line[0].set_ylabel(f"{ROWS[corrected]}\nshare normal")
        for axis, dataset in zip(axes[0], found.datasets, strict=True):
            axis.set_title(names.dataset(dataset))
        figure.supxlabel("probability of normal", fontsize=7.5)
        legend_above(figure, axes[0][0], len(found.systems))
    return Plot(
        "reliability.svg",
        "Reliability of the normal prompt's probabilities (Platt's sigmoid of the validation split), all seeds: "
        "as fitted, and after their log odds are moved to the dataset's own share of normals, a diagnostic that uses "
        "its labels. What the second row repairs is the shift of prevalence.",
        "Reliability diagrams, a column per dataset and a line per system",
    )

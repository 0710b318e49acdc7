"""How much each system depends on the wording of the normal prompt."""

from __future__ import annotations

from pathlib import Path

from benchmark.artifacts import select
from benchmark.artifacts.columns import is_wording
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import names
from benchmark.reporting.figures.style import GREY, Plot, drawing, legend_above, looks


def draw(found: Evidence, folder: Path) -> Plot | None:
    """Normal AUC under every wording, a panel per dataset; None with a single wording."""
    table = select.rows(found.results["auc"], seed="all", quantity="normal_auc", finding="", progress=1.0)
    if table.empty:
        return None
    table = table[table["score"].map(is_wording)]
    wordings = list(dict.fromkeys(table["score"]))
    if len(wordings) < 2:
        return None
    look = looks(found.systems)
    step = min(0.18, 0.8 / len(found.systems))
    height = 1.1 + (0.22 if len(found.systems) <= 4 else 0.055 * len(found.systems)) * len(wordings)
    shape = {"sharex": True, "sharey": True}
    with drawing(folder / "prompts.svg", 1, len(found.datasets), height=height, mark=found.mark, **shape) as (
        figure,
        axes,
    ):
        for axis, dataset in zip(axes[0], found.datasets, strict=True):
            axis.axvline(0.5, color=GREY, linewidth=0.6)
            for shift, system in enumerate(found.systems):
                one, offset = look[system], step * (shift - (len(found.systems) - 1) / 2)
                for y, wording in enumerate(wordings):
                    if (row := select.one(table, dataset=dataset, system=system, score=wording)) is None:
                        continue
                    axis.plot([row["low"], row["high"]], [y + offset] * 2, color=one.colour, linewidth=0.9)
                    label = found.label(system) if y == 0 else None
                    axis.plot(row["estimate"], y + offset, one.marker, color=one.colour, markersize=3.5, label=label)
            axis.set_title(names.dataset(dataset))
            axis.set_yticks(
                range(len(wordings)),
                ["published wording" if w == "prompt" else names.score(w) for w in wordings],
            )
            axis.grid(axis="y", visible=False)
        axes[0][0].invert_yaxis()
        figure.supxlabel("normal AUC", fontsize=7.5)
        legend_above(figure, axes[0][0], len(found.systems))
    return Plot(
        "prompts.svg",
        f"Normal AUC under other wordings of the normal prompt, with {found.interval}s. Left of 0.5 the ranking is "
        "inverted.",
        "Normal AUC for each wording, dataset and system",
    )

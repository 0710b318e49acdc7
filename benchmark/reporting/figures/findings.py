"""Which findings a difference comes from: the abnormal AUC of each finding, one system minus the other."""

from __future__ import annotations

from pathlib import Path

from benchmark.artifacts import select
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import names
from benchmark.reporting.figures.style import GREY, INK, Plot, drawing

MOST = 24
"""Findings of a dataset that are drawn: those with the most positives."""


def draw(found: Evidence, a: str, b: str, folder: Path) -> Plot | None:
    """Differences a - b of every finding with intervals, a panel a dataset; None where none was measured."""
    table = found.results["finding_differences"]
    rows = {}
    for dataset in found.datasets:
        mine = select.rows(table, dataset=dataset, a=a, b=b)
        if not mine.empty:
            kept = mine.sort_values("positives", ascending=False, kind="stable").head(MOST)
            rows[dataset] = kept.sort_values("estimate", kind="stable").to_dict("records")
    if not rows:
        return None
    across = 2 if len(rows) > 1 else 1
    down = -(-len(rows) // across)
    counts = [len(listed) for listed in rows.values()]
    tallest = [max(counts[across * line : across * (line + 1)]) + 2 for line in range(down)]
    shape = {"sharex": True, "gridspec_kw": {"height_ratios": tallest}}
    height = 0.3 + 0.13 * sum(tallest)
    with drawing(folder / "findings.svg", down, across, height=height, mark=found.mark, **shape) as (_, axes):
        for axis in axes.flat[len(rows) :]:
            axis.set_axis_off()
        for axis, (dataset, listed) in zip(axes.flat, rows.items(), strict=False):
            axis.axvline(0, color=INK, linewidth=0.8)
            for y, row in enumerate(listed):
                sure = select.is_significant(row)
                colour = "#0072B2" if sure else GREY
                axis.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=1.1)
                axis.plot(
                    row["estimate"], y, "o", color=colour, markersize=3, markerfacecolor=colour if sure else "white"
                )
            axis.set_yticks(range(len(listed)), [str(row["finding"]) for row in listed], fontsize=6)
            axis.set_ylim(-0.7, len(listed) - 0.3)
            axis.grid(axis="y", visible=False)
            axis.set_title(names.dataset(dataset))
            axis.xaxis.set_major_formatter(lambda value, _: f"{value:z.3g}".replace("-", "−"))
    labels = found.label(a), found.label(b)
    return Plot(
        "findings.svg",
        f"Abnormal AUC of each finding, {labels[0]} minus {labels[1]}, with {found.interval}s, not adjusted for their "
        f"number; right of zero favours {labels[0]}. Filled: the interval excludes zero.",
        f"Differences in abnormal AUC between {labels[0]} and {labels[1]} for each finding and dataset",
    )

"""Forest plot: paired differences with intervals, a row per dataset and quantity."""

from __future__ import annotations

from pathlib import Path

from benchmark.artifacts import select
from benchmark.artifacts.columns import OVERALL
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import names
from benchmark.reporting.figures.style import GREY, INK, Plot, drawing

PANELS = (
    ("normal_auc", "prompt"),
    ("normal_auc", "one_minus_max"),
    ("normal_auc", "contrast"),
    ("abnormal_auc", ""),
    ("pointing", ""),
)
SHORT = {"prompt": "normal prompt", "one_minus_max": "1 − max", "contrast": "contrast"}


def draw(found: Evidence, a: str, b: str, folder: Path) -> Plot | None:
    """Differences a - b of every headline quantity on every dataset; None where none was measured."""
    table = found.results["differences"]
    order = [*found.datasets, OVERALL]
    panels = [p for p in PANELS if any(_row(table, a, b, p, d) for d in order)]
    if not panels:
        return None
    name = f"forest_{a}_{b}.svg"
    with drawing(folder / name, 1, len(panels), height=2.3, mark=found.mark, sharey=True) as (_, axes):
        for axis, panel in zip(axes[0], panels, strict=True):
            axis.axvline(0, color=INK, linewidth=0.8)
            for y, dataset in enumerate(order):
                if (row := _row(table, a, b, panel, dataset)) is None:
                    continue
                sure = select.is_significant(row, found.settings.statistics.level)
                colour, whole = ("#0072B2" if sure else GREY), dataset == OVERALL
                axis.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2.2 if whole else 1.4)
                axis.plot(
                    row["estimate"],
                    y,
                    "D" if whole else "o",
                    color=colour,
                    markerfacecolor=colour if sure else "white",
                    markersize=5,
                )
            axis.set_title("\n".join(_title(panel)), fontsize=7)
            axis.set_yticks(range(len(order)), [names.dataset(d) for d in order])
            axis.grid(axis="y", visible=False)
            axis.set_ylim(len(order) - 0.5, -0.5)
            axis.locator_params(axis="x", nbins=3)
            axis.xaxis.set_major_formatter(lambda value, _: f"{value:z.3g}".replace("-", "−"))
    labels = found.label(a), found.label(b)
    return Plot(
        name,
        f"{labels[0]} minus {labels[1]}: paired differences with {found.interval}s; right of zero favours {labels[0]}. "
        "Filled: significant; open: not.",
        f"Forest plot of differences between {labels[0]} and {labels[1]} on each dataset",
    )


def _row(table: object, a: str, b: str, panel: tuple[str, str], dataset: str) -> select.Row | None:
    quantity, score = panel
    return select.difference(table, a, b, dataset=dataset, quantity=quantity, score=score)  # type: ignore[arg-type]


def _title(panel: tuple[str, str]) -> list[str]:
    quantity, score = panel
    return [names.quantity(quantity), SHORT.get(score, "")]

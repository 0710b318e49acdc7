"""Training curves against the budget, and AUC against the budget."""

from __future__ import annotations

from pathlib import Path

from benchmark.artifacts import select
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import names
from benchmark.reporting.figures.style import Plot, drawing, legend_above, looks

SMOOTHING = 25
"""Window of the training loss's running median, steps."""


def curves(found: Evidence, folder: Path) -> Plot | None:
    """Training loss (running median) and validation loss of every seed of the compared systems."""
    runs = [run for run in found.runs if run.system in found.systems and not run.history.empty]
    if not runs:
        return None
    look = looks(found.systems)
    with drawing(folder / "training_curves.svg", 1, 2, height=2.3, mark=found.mark) as (figure, axes):
        for run in runs:
            one, history = look[run.system], run.history
            label = found.label(run.system) if run is found.runs_of(run.system)[0] else None
            smooth = history["loss"].rolling(SMOOTHING, min_periods=1, center=True).median()
            style = {"color": one.colour, "linestyle": one.line, "linewidth": 1, "label": label}
            axes[0][0].plot(history["progress"], smooth, **style)
            checked = history[history["validation_loss"].notna()]
            axes[0][1].plot(checked["progress"], checked["validation_loss"], marker=one.marker, markersize=3, **style)
        for axis, title in zip(axes[0], ("training loss", "validation loss"), strict=True):
            axis.set_title(title)
            axis.set_xlabel("share of the budget spent")
        legend_above(figure, axes[0][0], len(found.systems))
    return Plot(
        "training_curves.svg",
        "Loss against the budget, a line per seed. Losses of different objectives are different quantities: "
        "compare a curve with itself, not with another system's.",
        "Training and validation loss of each run against the share of the budget",
    )


def budget(found: Evidence, folder: Path) -> Plot | None:
    """Normal AUC and abnormal AUC at each kept share of the budget, with intervals."""
    table = select.rows(found.results["auc"], seed="all", finding="", system=found.systems)
    if table.empty or table["progress"].nunique() < 2:
        return None
    look = looks(found.systems)
    quantities = (("normal_auc", "prompt"), ("abnormal_auc", ""))
    shape = {"sharex": True, "sharey": "row"}
    with drawing(folder / "budget_curves.svg", 2, len(found.datasets), height=3.3, mark=found.mark, **shape) as (
        figure,
        axes,
    ):
        for line, (quantity, score) in zip(axes, quantities, strict=True):
            for axis, dataset in zip(line, found.datasets, strict=True):
                for shift, system in enumerate(found.systems):
                    rows = select.rows(table, dataset=dataset, system=system, quantity=quantity, score=score)
                    rows, one = rows.sort_values("progress"), look[system]
                    # Side by side, so that intervals at the same share of the budget do not hide one another.
                    x = rows["progress"] * 100 + 1.5 * (shift - (len(found.systems) - 1) / 2)
                    axis.errorbar(
                        x,
                        rows["estimate"],
                        [rows["estimate"] - rows["low"], rows["high"] - rows["estimate"]],
                        color=one.colour,
                        linestyle=one.line,
                        marker=one.marker,
                        elinewidth=0.8,
                        label=found.label(system),
                    )
                ceiling = select.one(found.results["ceiling"], dataset=dataset, quantity=quantity, finding="")
                if ceiling is not None:
                    axis.axhline(ceiling["estimate"], color="black", linewidth=0.7, linestyle=(0, (1, 2)))
                axis.set_xlim(0, 108)
                axis.set_xticks([25, 50, 100])
            line[0].set_ylabel(names.quantity(quantity))
        for axis, dataset in zip(axes[0], found.datasets, strict=True):
            axis.set_title(names.dataset(dataset))
        figure.supxlabel("share of the budget spent, %", fontsize=7.5)
        legend_above(figure, axes[0][0], len(found.systems))
    return Plot(
        "budget_curves.svg",
        f"AUC against the share of the budget spent, with {found.interval}s. Dotted: the supervised reference.",
        "AUC of each system at 25, 50 and 100 percent of the budget",
    )

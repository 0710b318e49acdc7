"""How every figure looks, and how it is saved so that the same data give the same bytes.

Colours are Okabe and Ito's (jfly.uni-koeln.de/color), distinguishable for colour-blind readers; each system
also has its own line style and marker, so that a grey print still reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.common import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TEXT_WIDTH = 6.7
"""Width of an A4 page's text, inches."""
INK = "#222222"
GREY = "#777777"
NORMAL, ABNORMAL = "#0072B2", "#D55E00"
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#000000", "#B8A800", "#8C564B")
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)), (0, (3, 2)), (0, (5, 1, 1, 1)))
_MARKERS = "os^DvPX*h"
RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "svg.fonttype": "path",
    "svg.hashsalt": "off-clip",
    "figure.constrained_layout.use": True,
    "image.interpolation": "nearest",
}


MOST_IN_A_LINE = 5
"""Names in one line of a legend."""


@dataclass(frozen=True)
class Look:
    """Colour, line style and marker of one system, the same in every figure."""

    colour: str
    line: Any
    marker: str


@dataclass(frozen=True)
class Plot:
    """A saved figure and the words that go with it."""

    file: str
    """Name below ``reports/figures/``."""
    caption: str
    alt: str
    """What it shows, for readers who cannot see it."""


def looks(systems: Sequence[str]) -> dict[str, Look]:
    """A look for each system, by its place in the list."""
    return {
        name: Look(_COLOURS[i % len(_COLOURS)], _LINES[i % len(_LINES)], _MARKERS[i % len(_MARKERS)])
        for i, name in enumerate(systems)
    }


@contextmanager
def drawing(
    target: Path, rows: int = 1, columns: int = 1, *, height: float, mark: str = "", **subplots: Any
) -> Iterator[tuple[Figure, Any]]:
    """Yield ``(figure, axes)`` and save the figure as SVG when the block succeeds.

    Args:
        target: the SVG file.
        rows: rows of axes.
        columns: columns of axes; ``axes`` is always a 2-d array.
        height: inches; the width is that of the text.
        mark: printed small along the right edge (``PHANTOM``).
        subplots: further arguments of ``Figure.subplots``.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(RC):
        figure = Figure(figsize=(TEXT_WIDTH, height))
        if mark:
            figure.set_layout_engine("constrained", rect=(0, 0, 0.975, 1))
            figure.text(0.998, 0.5, mark, ha="right", va="center", rotation=90, fontsize=5.5, color=GREY, weight="bold")
        yield figure, figure.subplots(rows, columns, squeeze=False, **subplots)
        with files.replacing(target) as part:
            figure.savefig(part, format="svg", metadata={"Date": None, "Creator": "off-clip"})


def legend_above(figure: Figure, axes: Axes, columns: int) -> None:
    """One legend for the whole figure, above it."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(columns, MOST_IN_A_LINE))

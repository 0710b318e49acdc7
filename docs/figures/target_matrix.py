"""``python docs/figures/target_matrix.py``: docs/images/target-matrix.png, read off the loss itself.

The sign of the off-diagonal term's gradient says what it asks of an entry: to rise (target 1), to fall (target 0), or
nothing. So the figure cannot say anything else than the code does.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from offclip.losses import AbnormalPairs, off_diagonal

IMAGE = Path(__file__).resolve().parents[1] / "images/target-matrix.png"
LABELS = ("normal", "abnormal", "normal", "abnormal", "normal", "unknown")
COLOURS = ListedColormap(["#d1495b", "#eeeeee", "#2e7d5b"])
SYMBOLS = {1: "1", -1: "0", 0: "·"}
TITLES: dict[AbnormalPairs, str] = {
    "zero": 'abnormal_pairs="zero" (default)\nthe paper\'s figure, literally',
    "ignore": 'abnormal_pairs="ignore"\nabnormal pairs are left to their InfoNCE',
}


def asked(abnormal_pairs: AbnormalPairs) -> torch.Tensor:
    """[6, 6] int: 1 where the term draws an image and a text together, -1 where it pushes them apart, else 0."""
    logits = torch.zeros(len(LABELS), len(LABELS), requires_grad=True)
    normal = torch.tensor([label == "normal" for label in LABELS])
    known = torch.tensor([label != "unknown" for label in LABELS])
    off_diagonal(logits, normal, abnormal_pairs=abnormal_pairs, known=known).backward()
    assert logits.grad is not None
    return -logits.grad.sign().int()


def draw(path: Path) -> None:
    """Write the figure as PNG."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    ticks = [f"{place} {label}" for place, label in enumerate(LABELS, 1)]
    for axis, (abnormal_pairs, title) in zip(figure.subplots(1, 2), TITLES.items(), strict=True):
        matrix = asked(abnormal_pairs)
        axis.imshow(matrix.numpy(), cmap=COLOURS, norm=BoundaryNorm([-1.5, -0.5, 0.5, 1.5], 3))
        for row, column in torch.cartesian_prod(torch.arange(len(LABELS)), torch.arange(len(LABELS))).tolist():
            value = int(matrix[row, column])
            colour = "black" if value == 0 else "white"
            axis.text(column, row, SYMBOLS[value], ha="center", va="center", color=colour, fontsize=12)
        axis.set_xticks(range(len(LABELS)), ticks, rotation=40, ha="right")
        axis.set_yticks(range(len(LABELS)), ticks)
        axis.set(xlabel="text", ylabel="image")
        axis.set_title(title, fontsize=10)
        axis.spines[:].set_visible(False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGE)

"""The pair matrix of validation images and captions, normals first: where the methods differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmark.artifacts.evidence import Evidence
from benchmark.reporting.figures.style import Plot, drawing

SHOWN = 64
"""Pairs drawn, half of them normal where there are as many."""


def draw(found: Evidence, systems: tuple[str, ...], folder: Path) -> Plot | None:
    """Similarity matrices side by side, first seed; None where scoring left none."""
    matrices = []
    for system in systems:
        for run in found.runs_of(system)[:1]:
            pairs = run.pairs()
            matrices.append((system, *_arranged(pairs.logits, pairs.normal)))
    if not matrices:
        return None
    with drawing(folder / "similarity.svg", 1, len(matrices), height=2.7, mark=found.mark) as (figure, axes):
        for axis, (system, matrix, split) in zip(axes[0], matrices, strict=True):
            image = axis.imshow(matrix, cmap="cividis", vmin=-2, vmax=2, rasterized=True)
            axis.axhline(split - 0.5, color="white", linewidth=1)
            axis.axvline(split - 0.5, color="white", linewidth=1)
            middles = [(split - 1) / 2, (split + len(matrix) - 1) / 2]
            axis.set_xticks(middles, ["normal", "abnormal"])
            axis.set_yticks(middles, ["normal", "abnormal"], rotation=90, va="center")
            axis.tick_params(length=0)
            axis.grid(visible=False)
            axis.set_title(found.label(system))
        axes[0][0].set_ylabel("image")
        figure.supxlabel("caption", fontsize=7.5)
        figure.colorbar(image, ax=list(axes[0]), shrink=0.8, label="similarity, standardised")
    return Plot(
        "similarity.svg",
        "Similarity of validation images (rows) and their captions (columns), normal ones first, first seed, "
        "standardised within each matrix. The off-diagonal term asks for a bright normal-normal block, "
        "InfoNCE for a bright diagonal alone.",
        "Similarity matrices with normal and abnormal blocks, one per system",
    )


def _arranged(logits: np.ndarray, normal: np.ndarray) -> tuple[np.ndarray, int]:
    """Normals first, ``SHOWN`` pairs, zero mean and unit deviation; and how many are normal."""
    half = SHOWN // 2
    first, second = np.flatnonzero(normal)[:half], np.flatnonzero(~normal)[:half]
    chosen = np.concatenate([first, second])
    matrix = logits[np.ix_(chosen, chosen)].astype(np.float64)
    deviation = matrix.std()
    return (matrix - matrix.mean()) / (deviation if deviation > 0 else 1.0), len(first)

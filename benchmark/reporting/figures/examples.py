"""Heatmaps over images with the true regions, and the contact sheet: only where images may be shown.

Which heatmaps: those that scoring kept by its rule (evaluation/examples.py), right and wrong as they
fall. Which contacts: the smallest hash of the identifier.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill, shorten
from typing import Any

import numpy as np
import pandas as pd

from benchmark.artifacts import cohort
from benchmark.artifacts.cohort import LABEL
from benchmark.artifacts.evidence import Evidence
from benchmark.pipeline import layout
from benchmark.reporting import names
from benchmark.reporting.figures.style import Plot, drawing

PER_DATASET = 2
"""Examples of each dataset: few, so that a heatmap can be seen."""
CONTACTS = 8
"""Images of each dataset on the contact sheet, half of them normal."""
NAMED, LINE = 2, 17
"""Findings that a contact's title has lines for, and the characters of a line."""
FAINT, STRONG = 0.4, 0.65
"""Share of its range below which a heatmap is not drawn, and how far its maximum covers the image."""


def heatmaps(found: Evidence, systems: Sequence[str], folder: Path) -> Plot | None:
    """A row per dataset, ``PER_DATASET`` examples, each by every system given; None where nothing may be shown."""
    read = {system: found.runs_of(system)[0].examples() for system in systems if found.runs_of(system)}
    read = {system: one for system, one in read.items() if one}
    first = next(iter(read.values()), [])
    shown = {d: [k for k, _ in first if k["dataset"] == d][:PER_DATASET] for d in found.datasets}
    shown = {d: examples for d, examples in shown.items() if examples and found.may_show(d)}
    if not shown:
        return None
    cohorts = {d: cohort.read(d) for d in shown}
    columns = PER_DATASET * len(read)
    with drawing(folder / "heatmaps.svg", len(shown), columns, height=1.75 * len(shown), mark=found.mark) as (_, axes):
        for line, (dataset, examples) in zip(axes, shown.items(), strict=True):
            images = cohorts[dataset].images
            for axis in line:
                axis.set_axis_off()
            for place, example in enumerate(examples):
                for shift, (system, maps) in enumerate(read.items()):
                    axis = line[place * len(read) + shift]
                    own, heatmap = next(((k, m) for k, m in maps if _same(k, example)), (None, None))
                    if own is None or heatmap is None:
                        continue
                    _overlay(axis, images[example["row"]], heatmap, example["bounds"])
                    axis.set_title(
                        f"{fill(example['finding'], 22)}\n{found.label(system)}: {own['outcome']}",
                        fontsize=6.5,
                        pad=2,
                    )
            line[0].text(
                -0.08, 0.5, names.dataset(dataset), rotation=90, va="center", ha="right", transform=line[0].transAxes
            )
    labels = names.join([found.label(system) for system in read])
    return Plot(
        "heatmaps.svg",
        f"Heatmaps of {labels} (first seed) for the finding's prompt; box: bounds of the ground-truth region; cross: "
        f"the heatmap's maximum, which decides hit or miss. Chosen by rule: {first[0][0]['rule']}.",
        "Heatmaps with ground-truth regions for each system and dataset",
    )


def contact_sheet(found: Evidence, folder: Path) -> Plot | None:
    """Cached images of every cohort that may be shown, normal ones on the left."""
    shown = [d for d in layout.DATASETS if d in found.cards and found.may_show(d)]
    cohorts = {d: cohort.read(d) for d in shown}
    rows = {d: _contacts(cohorts[d].index) for d in shown}
    rows = {d: chosen for d, chosen in rows.items() if chosen}
    if not rows:
        return None
    with drawing(folder / "contact_sheet.svg", len(rows), CONTACTS, height=1.2 * len(rows), mark=found.mark) as (
        _,
        axes,
    ):
        for line, (dataset, chosen) in zip(axes, rows.items(), strict=True):
            images = cohorts[dataset].images
            for axis in line:
                axis.set_axis_off()
            for axis, (row, title) in zip(line, chosen, strict=False):
                axis.imshow(images[row], cmap="gray", vmin=0, vmax=255)
                axis.set_title(title, fontsize=4.2, pad=2, linespacing=1.0, va="bottom")
            line[0].text(
                -0.08, 0.5, names.dataset(dataset), rotation=90, va="center", ha="right", transform=line[0].transAxes
            )
    return Plot(
        "contact_sheet.svg",
        "Images as the models receive them, titled with their labels, normal ones on the left; the first of each kind "
        "by the hash of its identifier.",
        "Contact sheet of normal and abnormal images of each cohort",
    )


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one[key] == other[key] for key in ("dataset", "image_id", "finding"))


def _overlay(axis: Any, image: np.ndarray, heatmap: np.ndarray, bounds: Sequence[float]) -> None:
    """The image in grey, what is strong in the heatmap in colour above it, its maximum and the true region."""
    size = len(image)
    low, high = float(heatmap.min()), float(heatmap.max())
    scaled = (heatmap - low) / (high - low if high > low else 1.0)
    frame = (-0.5, size - 0.5, size - 0.5, -0.5)
    axis.imshow(image, cmap="gray", vmin=0, vmax=255, extent=frame)
    # The weak part stays clear, so that both the radiograph and where the heatmap points can be seen.
    opacity = STRONG * np.clip((scaled - FAINT) / (1 - FAINT), 0, 1)
    axis.imshow(scaled, cmap="autumn", vmin=FAINT, vmax=1, alpha=opacity, extent=frame, interpolation="nearest")
    y, x = np.unravel_index(int(np.argmax(heatmap)), heatmap.shape)
    scale = size / np.asarray(heatmap.shape)
    axis.plot((x + 0.5) * scale[1] - 0.5, (y + 0.5) * scale[0] - 0.5, "x", color="#00E5FF", markersize=6)
    top, left, bottom, right = bounds
    outline = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    axis.plot(*zip(*[(px - 0.5, py - 0.5) for px, py in outline], strict=True), color="#7CFC00", linewidth=1.2)
    axis.set_xlim(-0.5, size - 0.5)
    axis.set_ylim(size - 0.5, -0.5)


def _contacts(index: pd.DataFrame) -> list[tuple[int, str]]:
    """(row, title) of the images to show: half normal, each half by hash of the identifier."""
    order = sorted(range(len(index)), key=lambda i: hashlib.sha256(str(index["image_id"].iloc[i]).encode()).digest())
    known = index["normal"].fillna(-1).to_numpy(int)
    half = CONTACTS // 2
    normal, abnormal = ([i for i in order if known[i] == kind][:half] for kind in (1, 0))
    return [(i, "normal") for i in normal] + [(i, _findings(index.iloc[i])) for i in abnormal]


def _findings(study: pd.Series) -> str:
    """The labels that are positive, as many as a title holds; an abnormal study may have none of the scored ones."""
    labels = study[study.index.str.startswith(LABEL)]
    found = [str(name).removeprefix(LABEL) for name in labels.index[labels.fillna(0).astype(int) == 1]]
    more = [f"and {len(found) - NAMED} more"] if len(found) > NAMED else []
    return "\n".join([*(shorten(name, LINE, placeholder=" …") for name in found[:NAMED]), *more]) or "abnormal"

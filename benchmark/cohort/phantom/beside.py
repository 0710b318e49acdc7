"""A phantom set beside the public table that it was drawn from: prevalences, and how often an image is taken AP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.cohort.adapters import open_i
from benchmark.cohort.phantom import cases, studies
from benchmark.cohort.phantom.cases import Shares
from benchmark.cohort.phantom.studies import Study
from benchmark.materials import label_tables
from benchmark.materials.open_i_report import OpenIReport
from benchmark.pipeline import layout


def compared(
    dataset: str, planned: Sequence[Study], images: Sequence[Mapping[str, Any]], folder: Path = layout.MATERIALS
) -> dict[str, Any]:
    """``{"phantom": Shares, "table": Shares or None}`` as a JSON value.

    Args:
        dataset: a phantom set.
        planned: its studies.
        images: what the layout's writer returned of each image: ``number``, ``view`` and, of VinDr-CXR, ``boxes``.
        folder: where the public material lies.
    """
    mine = [planned[image["number"]] for image in images]
    found = [_labels(dataset, study, image) for study, image in zip(mine, images, strict=True)]
    phantom = _counted(
        "images of the phantom set",
        np.array([study.normal for study in mine]),
        np.array([image["view"] == "AP" for image in images]),
        found,
    )
    table = None
    if dataset == "open_i":
        table = _of_reports(folder)
    elif dataset != layout.TRAINING_DATASET:
        table = cases.of_table(label_tables.read(dataset, folder))
    return {"phantom": asdict(phantom), "table": asdict(table) if table else None}


def _labels(dataset: str, study: Study, image: Mapping[str, Any]) -> set[str]:
    """The labels that the layout wrote for an image, without the normal class."""
    if dataset == "vindr_cxr":  # a label is set where a box was drawn
        return {label for label, *_ in image["boxes"]}
    if dataset == "open_i":
        return _named(study.text)
    return study.labels - {label_tables.NORMAL.get(dataset, "")}


def _named(report: OpenIReport) -> set[str]:
    """Findings of an Open-I report by the published rule."""
    return {name for name, held in open_i.labels(report, published=True).items() if held}


def _of_reports(folder: Path) -> Shares:
    """Every indexed report of Open-I that names an image; the views are those of the DICOM headers."""
    held = [r for r in studies.reports(folder) if r.image_ids and not studies.UNINDEXED & set(r.major)]
    views = [studies.view_of(report, folder) for report in held]
    seen = [(report, view) for report, view in zip(held, views, strict=True) if view]
    return _counted(
        f"{len(seen):,} indexed reports of the release with a frontal image",
        np.array([report.normal for report, _ in seen]),
        np.array([view == "AP" for _, view in seen]),
        [_named(report) for report, _ in seen],
    )


def _counted(source: str, normal: np.ndarray, ap: np.ndarray, found: Sequence[set[str]]) -> Shares:
    names = sorted(set().union(*found))
    return cases.shares(source, normal, ap, {name: np.array([name in held for held in found]) for name in names})

"""VinDr-CXR 1.0.0 (PhysioNet): DICOM images, 28 labels, boxes of 22 local findings.

``test/<image_id>.dicom`` with ``annotations/image_labels_test.csv`` and ``annotations_test.csv`` (consensus of
readers); the train tables carry a ``rad_id``, three readers an image. Nguyen et al., Scientific Data 2022.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from benchmark.cohort import contract, labels, privacy, tables
from benchmark.cohort.contract import Exclusion, Release
from benchmark.common.errors import UserError, nearest
from benchmark.pipeline.settings import DatasetSettings

LOCAL = (
    "Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Clavicle fracture", "Consolidation",
    "Edema", "Emphysema", "Enlarged PA", "ILD", "Infiltration", "Lung Opacity", "Lung cavity", "Lung cyst",
    "Mediastinal shift", "Nodule/Mass", "Pleural effusion", "Pleural thickening", "Pneumothorax",
    "Pulmonary fibrosis", "Rib fracture", "Other lesion",
)  # fmt: skip
"""Findings that readers drew a box around."""
GLOBAL = ("COPD", "Lung tumor", "Pneumonia", "Tuberculosis", "Other disease")
NORMAL = "No finding"
PUBLISHED = (
    "Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Consolidation", "Edema", "Emphysema",
    "Enlarged PA", "Infiltration", "Lung Opacity", "Nodule/Mass", "Pleural effusion", "Pleural thickening",
    "Pneumothorax", "Lung tumor", "Pneumonia",
)  # fmt: skip
"""The findings that the OFF-CLIP script scores, beside ``No finding``."""
SPELLINGS = {"Other diseases": "Other disease", "Other disease(s)": "Other disease"}
"""Ways in which one column has been written."""
CORNERS = ("x_min", "y_min", "x_max", "y_max")


def read(root: Path, settings: DatasetSettings, grounding: Path | None = None) -> Release:
    """Read the test split.

    ``labels: published`` keeps 16 findings and ``No finding`` and leaves out images that carry none of the 17, as
    the OFF-CLIP script does; ``labels: all`` keeps the 27 findings and every image.

    Raises:
        UserError: a table, column or label is not as published.
    """
    return read_split(root, "test", settings)


def read_split(root: Path, split: Literal["train", "test"], settings: DatasetSettings) -> Release:
    """Read one split; of the three readers of a ``train`` image the majority decides each label."""
    findings = PUBLISHED if settings.labels == "published" else LOCAL + GLOBAL
    path = tables.locate(root, [f"annotations/image_labels_{split}.csv*"], "vindr_cxr")
    labels = read_labels(path)
    exclusions: list[Exclusion] = []
    if settings.labels == "published":
        none = (labels[[*PUBLISHED, NORMAL]] == 0).all(axis=1)
        labels = contract.without(labels, none, "none of the 17 published labels", "image_id", exclusions)
    regions = read_boxes(tables.locate(root, [f"annotations/annotations_{split}.csv*"], "vindr_cxr"))
    stray = regions[~regions["image_id"].isin(set(labels["image_id"]) | {n for e in exclusions for n in e.names})]
    if len(stray):
        raise UserError(
            f"{root}/annotations/annotations_{split}.csv, {privacy.row_of(int(stray['row'].iloc[0]))}: its image has "
            f"a box but no row in {path.name} ({stray['image_id'].nunique()} such images); expected the tables of "
            "one release."
        )
    kept = regions["image_id"].isin(labels["image_id"]) & regions["finding"].isin(findings)
    image_id = labels["image_id"]
    index = contract.make_index(
        {
            "image_id": image_id,
            "path": f"{split}/" + image_id + ".dicom",
            "patient_id": image_id,
            "study_id": image_id,
            "split": split,
            "view": "PA",
            "normal": labels[NORMAL],
        },
        labels[list(findings)],
    )
    return Release(
        index=index,
        regions=contract.make_regions(regions[kept]),
        findings=findings,
        labels=settings.labels if settings.labels == "published" else "all",
        version=f"VinDr-CXR 1.0.0, {split} split, {len(labels) + sum(len(e.names) for e in exclusions)} images",
        cluster="image",
        rows=len(labels) + sum(len(e.names) for e in exclusions),
        published_rows={"test": 3_000, "train": 15_000}[split],
        grounding_truth="box",
        exclusions=tuple(exclusions),
        notes=("The tables name no patient: the image is the cluster of the bootstrap.",),
    )


def read_labels(path: Path) -> pd.DataFrame:
    """Image-level labels: ``image_id``, 27 findings and ``No finding`` as Int8, one row an image.

    Rows of several readers (column ``rad_id``) are merged: a label holds when most readers gave it.
    """
    header = tables.read_header(path)
    spelt = {new: old for old, new in SPELLINGS.items() if old in header}
    names = [spelt.get(name, name) for name in (*LOCAL, *GLOBAL, NORMAL)]
    table = tables.read_table(path, ["image_id", *names], optional=["rad_id"])
    values = pd.DataFrame({SPELLINGS.get(name, name): labels.binary_column(table[name], path) for name in names})
    values.insert(0, "image_id", table["image_id"])
    if "rad_id" not in table:
        tables.check_unique(table["image_id"], path)
        return values
    tables.check_unique((table["image_id"] + " of reader " + table["rad_id"]).rename("image"), path)
    return majority(values)


def majority(votes: pd.DataFrame) -> pd.DataFrame:
    """One row per ``image_id``: 1 where more than half of its rows say 1."""
    return (votes.groupby("image_id", sort=False).mean() > 0.5).astype("Int8").reset_index()


def read_boxes(path: Path) -> pd.DataFrame:
    """Boxes of an annotation table: image_id, finding, kind, corners in pixels, row; ``No finding`` rows hold none.

    Raises:
        UserError: an unknown class, a box without corners, or corners in the wrong order.
    """
    table = tables.read_table(path, ["image_id", "class_name", *CORNERS], optional=["rad_id"])
    known = {*LOCAL, *GLOBAL, *SPELLINGS, NORMAL}
    unknown = np.flatnonzero(~table["class_name"].isin(known).to_numpy())
    if len(unknown):
        at = int(unknown[0])
        raise UserError(
            f"{path}, {privacy.row_of(at)}: its class_name is none of the published labels"
            f"{nearest(table['class_name'].iloc[at], known) or '.'}"
        )
    corners = labels.number_columns(table, CORNERS, path)
    local = table["class_name"].isin(LOCAL).to_numpy()
    wrong = np.flatnonzero(
        local & ~((corners["x_min"] < corners["x_max"]) & (corners["y_min"] < corners["y_max"])).to_numpy()
    )
    if len(wrong):
        at = int(wrong[0])
        raise UserError(
            f"{path}, {privacy.row_of(at)}: the box of '{table['class_name'].iloc[at]}' is "
            f"({', '.join(table[name].iloc[at] or 'blank' for name in CORNERS)}), "
            "expected x_min < x_max and y_min < y_max."
        )
    boxes = corners.assign(
        image_id=table["image_id"], finding=table["class_name"], kind="box", row=np.arange(len(table))
    )
    return boxes[local].reset_index(drop=True)

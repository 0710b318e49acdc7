"""The published layout of Open-I: NLMCXR_png/<name>.png and ecgen-radiology/<uid>.xml.

Source: openi.nlm.nih.gov. The XML files are the real ones, so tags and text are the release's own;
images bear the names of the report's frontal images.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from benchmark.cohort.phantom.render import Radiograph
from benchmark.cohort.phantom.studies import Study
from benchmark.materials import contents

VIEW_TABLE = "nlmcxr_dicom_metadata.csv.gz"
"""The DICOM headers as a table (columns ``imageid`` and ``View Position`` are what adapters read)."""


@cache
def _views() -> dict[str, str]:
    return contents.open_i_views()


def image_ids(study: Study) -> list[str]:
    """Names of the report's frontal images by the published view list, else the first name."""
    names = study.text.image_ids
    return [name for name in names if _views().get(name) in ("PA", "AP")] or list(names[:1])


def repeats(study: Study, seed: int) -> int:
    """As many frontal images as the report names."""
    return len(image_ids(study))


def write_image(study: Study, image: Radiograph, repeat: int, root: Path) -> dict[str, Any]:
    """``NLMCXR_png/<name>.png``, 8-bit grey."""
    name = image_ids(study)[repeat]
    path = root / "NLMCXR_png" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.round(image.grey * 255).astype(np.uint8)
    path.write_bytes(cv2.imencode(".png", grey)[1].tobytes())
    return {
        "image_id": name,
        "number": study.number,
        "view": image.view,
        "drawn": [drawn.finding.kind for drawn in image.drawn],
    }


def write_tables(studies: Sequence[Study], images: Sequence[dict[str, Any]], root: Path, seed: int) -> None:
    """The XML files of the chosen reports, byte for byte, and the view list.

    Images that a report names and that are not frontal are listed as lateral (``LL``); none is rendered.
    """
    folder = root / "ecgen-radiology"
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {study.text.uid for study in studies}
    for name, xml in contents.open_i_xml():
        if Path(name).stem in chosen:
            (folder / Path(name).name).write_bytes(xml)
    views = {name: "LL" for study in studies for name in study.text.image_ids}
    views |= {image["image_id"]: image["view"] for image in images}
    table = pd.DataFrame({"imageid": list(views), "View Position": list(views.values())})
    table.to_csv(root / VIEW_TABLE, index=False, compression={"method": "gzip", "mtime": 0})

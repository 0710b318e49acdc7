"""The published layout of Open-I: NLMCXR_png/<name>.png and ecgen-radiology/<uid>.xml.

Source: openi.nlm.nih.gov. The XML files are the real ones, so tags and text are the release's own;
each picture bears the name of the report's first frontal picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmark.cohort import materials
from benchmark.cohort.phantom.render import Picture
from benchmark.cohort.phantom.studies import Study


def repeats(study: Study, seed: int) -> int:
    """One picture a study."""
    return 1


@cache
def _views() -> dict[str, str]:
    return materials.open_i_views()


def image_id(study: Study) -> str:
    """Name of the report's first frontal picture, else of its first, else one made like them."""
    names = study.report.image_ids
    frontal = [name for name in names if _views().get(name) in ("PA", "AP")]
    return (frontal or list(names) or [f"CXR{study.report.uid}_IM-0000-1001"])[0]


def write_picture(study: Study, picture: Picture, repeat: int, root: Path) -> dict[str, Any]:
    """``NLMCXR_png/<name>.png``, 8-bit grey."""
    path = root / "NLMCXR_png" / f"{image_id(study)}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.round(picture.grey * 255).astype(np.uint8)
    path.write_bytes(cv2.imencode(".png", grey)[1].tobytes())
    return {
        "image_id": image_id(study),
        "number": study.number,
        "drawn": [drawn.finding.kind for drawn in picture.drawn],
    }


def write_tables(studies: Sequence[Study], pictures: Sequence[dict[str, Any]], root: Path, seed: int) -> None:
    """The XML files of the chosen reports, byte for byte."""
    folder = root / "ecgen-radiology"
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {study.report.uid for study in studies}
    for name, xml in materials.open_i_xml():
        if Path(name).stem in chosen:
            (folder / Path(name).name).write_bytes(xml)

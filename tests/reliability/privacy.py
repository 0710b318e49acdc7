"""Canaries: a sentence, a patient, a study and an image that must be found nowhere, and a search that finds them."""

from __future__ import annotations

import base64
import io
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from pypdf import PdfReader

SENTENCE = "Zyxwopal quillback shadow of the canary lobule"
PATIENT, STUDY, IMAGE = "canarypatient7781", "canarystudy4402", "canaryimage9913"
WORDS = (SENTENCE, "Zyxwopal", "quillback", PATIENT, STUDY, IMAGE)
ALIKE = 0.9
"""Correlation with the canary image at 32 x 32 pixels from which a raster counts as a copy of it."""


def canary_image(side: int) -> np.ndarray:
    """uint8 (side, side): a pattern so coarse that scaling and compression keep it, and like no radiograph."""
    coarse = np.random.default_rng(7).integers(0, 256, (5, 5), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def is_canary(raster: Image.Image) -> bool:
    """Whether a raster shows the canary image, upright or upside down (as SVG files hold it), or inverted."""
    shown = np.asarray(raster.convert("L").resize((32, 32), Image.Resampling.BOX), dtype=float)
    wanted = canary_image(32).astype(float).ravel()
    both = (shown.ravel(), shown[::-1].ravel())
    return bool(shown.std() > 0) and any(abs(float(np.corrcoef(one, wanted)[0, 1])) > ALIKE for one in both)


def found_in(*places: Path) -> list[str]:
    """Every canary below the places (files or folders), as ``file: what``; empty where nothing leaked."""
    files = [file for place in places for file in ([place] if place.is_file() else sorted(place.rglob("*")))]
    leaks = []
    for file in files:
        if file.is_file():
            text = "\n".join(_texts(file)).lower()
            leaks += [f"{file}: {word}" for word in WORDS if word.lower() in text]
            leaks += [f"{file}: image" for raster in _rasters(file) if is_canary(raster)]
    return leaks


def _texts(file: Path) -> Iterator[str]:
    """Everything readable in a file: its bytes, and what its format packs."""
    yield file.name
    yield file.read_bytes().decode("latin-1")
    if file.suffix == ".pdf":
        reader = PdfReader(file)
        yield str(reader.metadata)
        for page in reader.pages:
            text = page.extract_text()
            yield from (text, " ".join(text.split()), re.sub(r"\s+", "", text))
    elif file.suffix == ".parquet":
        yield pd.read_parquet(file).to_csv()
    elif file.suffix == ".db":
        with sqlite3.connect(file) as held:
            yield from held.iterdump()


def _rasters(file: Path) -> Iterator[Image.Image]:
    """Every image in a file."""
    if file.suffix == ".pdf":
        for page in PdfReader(file).pages:
            yield from (found.image for found in page.images if found.image is not None)
    elif file.suffix == ".svg":
        for code in re.findall(r"data:image/png;base64,([^\"']+)", file.read_text(encoding="utf-8")):
            yield Image.open(io.BytesIO(base64.b64decode(code)))
    elif file.suffix in (".png", ".jpg"):
        yield Image.open(file)

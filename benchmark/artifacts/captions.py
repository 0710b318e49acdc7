"""What the stage `captions` leaves: sentences, pair labels, vocabulary and the filter's quality (docs/files.md)."""

from __future__ import annotations

from typing import Any

import pandas as pd

from benchmark.artifacts import reading
from benchmark.pipeline import layout

SENTENCES = layout.CAPTIONS / "sentences.parquet"
STUDIES = layout.CAPTIONS / "studies.parquet"
VOCABULARY = layout.CAPTIONS / "vocabulary.json"
QUALITY = layout.CAPTIONS / "quality.json"


def read() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The sentences and the pair labels of the studies.

    Raises:
        UserError: a file is missing or damaged.
    """
    return reading.read_table(SENTENCES), reading.read_table(STUDIES)


def vocabulary() -> list[str]:
    """The words of the training reports that the word tower knows.

    Raises:
        UserError: the file is missing or damaged.
    """
    return list(reading.read_json(VOCABULARY))


def quality() -> dict[str, Any]:
    """How well the text filter works; empty where it was not measured.

    Raises:
        UserError: the file is damaged.
    """
    return dict(reading.read_json(QUALITY)) if QUALITY.exists() else {}

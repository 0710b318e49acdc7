"""The validation pairs of similarity.npz: chosen by one rule, which scoring applies and measuring repeats.

At most ``MOST_PAIRS`` images spread evenly over the validation split, one per study, each with the first sentence of
its report that says what the report says.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.artifacts.tables import read_table
from benchmark.pipeline import layout

MOST_PAIRS = 256


def captions_of(sentences: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """One caption per study: study_id, text, normal; studies without a fitting sentence are left out.

    Args:
        sentences: data/captions/sentences.parquet: study_id, position, text, normal.
        studies: data/captions/studies.parquet: study_id, normal.
    """
    joined = sentences.merge(studies, on="study_id", suffixes=("", "_study"))
    fitting = joined[joined["normal"] == joined["normal_study"]].sort_values(["study_id", "position"], kind="stable")
    return fitting.drop_duplicates("study_id")[["study_id", "text", "normal"]]


def chosen_pairs(index: pd.DataFrame) -> pd.DataFrame:
    """The pairs of a validation split, in the order of similarity.npz.

    Args:
        index: rows of the split, with ``study_id``; further columns are kept.

    Returns:
        The chosen rows with ``text`` and ``normal`` of their captions.

    Raises:
        UserError: the captions are missing or damaged.
    """
    captions = captions_of(*[read_table(layout.CAPTIONS / f"{name}.parquet") for name in ("sentences", "studies")])
    own = index.drop(columns=["text", "normal"], errors="ignore").drop_duplicates("study_id")
    paired = own.merge(captions, on="study_id")
    if paired.empty:
        return paired
    spread = np.linspace(0, len(paired) - 1, min(MOST_PAIRS, len(paired))).round().astype(int)
    return paired.iloc[spread]

"""similarity.npz: the validation pairs, chosen by one rule that scoring applies and measuring repeats.

At most ``MOST_PAIRS`` images spread evenly over the validation split, each with the first sentence of its report that
says what the report says.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.artifacts import captions, reading
from benchmark.artifacts.cohort import Cohort
from benchmark.artifacts.stages import again
from benchmark.common.errors import UserError
from benchmark.pipeline import layout

MOST_PAIRS = 256
FILE = "similarity.npz"


@dataclass(frozen=True, eq=False)
class Pairs:
    """n validation images and their captions as one run sees them."""

    logits: NDArray[np.float32]
    """(n, n) images against captions; pairs on the diagonal."""
    normal: NDArray[np.bool_]
    """(n,) the pair label."""
    image_embedding: NDArray[np.float32]
    """(n, D) the pooled image."""

    def write(self, folder: Path) -> None:
        """Write similarity.npz."""
        np.savez(folder / FILE, **asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Pairs:
        """Read a run's similarity.npz.

        Raises:
            UserError: it is missing or damaged.
        """
        stored = reading.read_arrays(folder / FILE, ("logits", "normal", "image_embedding"))
        return cls(stored["logits"], stored["normal"].astype(bool), stored["image_embedding"])

    def check(self, folder: Path, normal: NDArray[np.bool_]) -> None:
        """Refuse pairs that the captions on disk do not give.

        Args:
            folder: where they were read.
            normal: (n,) the pair labels of ``chosen_pairs``.

        Raises:
            UserError: they are others.
        """
        if not np.array_equal(self.normal, normal):
            path = folder / FILE
            raise UserError(f"{path} holds other pairs than {layout.CAPTIONS} gives; run {again(path)}.")


def captions_of(sentences: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """One caption per study: study_id, text, normal; studies without a fitting sentence are left out.

    Args:
        sentences: data/captions/sentences.parquet: study_id, position, text, normal.
        studies: data/captions/studies.parquet: study_id, normal.
    """
    joined = sentences.merge(studies, on="study_id", suffixes=("", "_study"))
    fitting = joined[joined["normal"] == joined["normal_study"]].sort_values(["study_id", "position"], kind="stable")
    return fitting.drop_duplicates("study_id")[["study_id", "text", "normal"]]


def chosen_pairs(cohort: Cohort) -> pd.DataFrame:
    """The pairs of a validation split, in the order of similarity.npz.

    Returns:
        row (of the cohort's images), study_id, patient_id, text and normal of their captions.

    Raises:
        UserError: the captions are missing or damaged.
    """
    own = cohort.index[["study_id", "patient_id"]].assign(row=cohort.rows)
    paired = own.merge(captions_of(*captions.read()), on="study_id", validate="one_to_one")
    if paired.empty:
        return paired
    spread = np.linspace(0, len(paired) - 1, min(MOST_PAIRS, len(paired))).round().astype(int)
    return paired.iloc[spread]

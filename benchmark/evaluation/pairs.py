"""Validation pictures against their own captions: the similarity matrix and the embedding behind "tight clustering".

Every system sees the same pairs: at most 256 pictures spread evenly over the validation split, one per study, each
with the first sentence of its report that says what the report says (an abnormal sentence of an abnormal report, a
normal one of a normal report), as dictated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark import layout
from benchmark.errors import UserError
from benchmark.evaluation.cohort import Cohort
from benchmark.evaluation.zero_shot import Scorer, require_finite

MOST_PAIRS = 256


@dataclass(frozen=True, eq=False)
class Pairs:
    """similarity.npz."""

    logits: NDArray[np.float32]
    """(n, n) pictures against captions; pairs on the diagonal."""
    normal: NDArray[np.bool_]
    """(n,) the pair label."""
    image_embedding: NDArray[np.float32]
    """(n, D) the pooled picture."""


def captions_of(sentences: pd.DataFrame, studies: pd.DataFrame) -> pd.DataFrame:
    """One caption per study: study_id, text, normal; studies without a fitting sentence are left out.

    Args:
        sentences: data/captions/sentences.parquet: study_id, position, text, normal.
        studies: data/captions/studies.parquet: study_id, normal.
    """
    joined = sentences.merge(studies, on="study_id", suffixes=("", "_study"))
    fitting = joined[joined["normal"] == joined["normal_study"]].sort_values(["study_id", "position"], kind="stable")
    return fitting.drop_duplicates("study_id")[["study_id", "text", "normal"]]


def validation_pairs(scorer: Scorer, cohort: Cohort) -> Pairs:
    """Score the validation pairs.

    Raises:
        UserError: the captions are missing or none belongs to the validation split, or a similarity is not finite.
    """
    try:
        sentences = pd.read_parquet(layout.CAPTIONS / "sentences.parquet")
        studies = pd.read_parquet(layout.CAPTIONS / "studies.parquet")
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing; run `dvc repro captions`.") from None
    captions = captions_of(sentences, studies)
    pictures = pd.DataFrame({"study_id": cohort.index["study_id"], "row": cohort.rows}).drop_duplicates("study_id")
    paired = pictures.merge(captions, on="study_id")
    if paired.empty:
        raise UserError(
            f"no study of {layout.CAPTIONS / 'sentences.parquet'} is in the validation split of {cohort.dataset}; "
            "run `dvc repro captions`."
        )
    spread = np.linspace(0, len(paired) - 1, min(MOST_PAIRS, len(paired))).round().astype(int)
    paired = paired.iloc[spread]
    texts = scorer.encode(list(paired["text"]))
    logits, pooled = [], []
    for _, images in scorer.batches(cohort.pictures, paired["row"].to_numpy(np.int64)):
        logits.append(scorer.similarity(images, texts))
        pooled.append(images.pooled.float().cpu().numpy())
    matrix = np.concatenate(logits)
    require_finite(matrix, f"pairs of {cohort.dataset}", list(paired["study_id"]), list(paired["study_id"]))
    return Pairs(matrix, paired["normal"].to_numpy(bool), np.concatenate(pooled))

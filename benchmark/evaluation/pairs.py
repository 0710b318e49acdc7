"""Validation images against their own captions: the similarity matrix and the embedding behind "tight clustering".

Every system sees the same pairs: at most 256 images spread evenly over the validation split, one per study, each
with the first sentence of its report that says what the report says (an abnormal sentence of an abnormal report, a
normal one of a normal report), as dictated.
"""

from __future__ import annotations

import numpy as np

from benchmark.artifacts import captions
from benchmark.artifacts.cohort import Cohort
from benchmark.artifacts.pairs import Pairs, chosen_pairs
from benchmark.common.errors import UserError
from benchmark.evaluation.zero_shot import Scorer, require_finite


def validation_pairs(scorer: Scorer, cohort: Cohort) -> Pairs:
    """Score the validation pairs.

    Raises:
        UserError: the captions are missing or none belongs to the validation split, or a similarity is not finite.
    """
    paired = chosen_pairs(cohort)
    if paired.empty:
        raise UserError(
            f"no study of {captions.SENTENCES} is in the validation split of {cohort.dataset}; "
            "run `dvc repro captions`."
        )
    texts = scorer.encode(list(paired["text"]))
    logits, pooled = [], []
    for _, features in scorer.batches(cohort.images, paired["row"].to_numpy(np.int64)):
        logits.append(scorer.similarity(features, texts))
        pooled.append(features.pooled.float().cpu().numpy())
    matrix = np.concatenate(logits)
    require_finite(matrix, f"pairs of {cohort.dataset}", list(paired["study_id"]), list(paired["study_id"]))
    return Pairs(matrix, paired["normal"].to_numpy(bool), np.concatenate(pooled))

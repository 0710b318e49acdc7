"""A linear head on frozen features, cross-fitted within one evaluation set: is a finding visible in them at all?

Findings that the training labels do not name (scoliosis, calcification ...) have no other honest source of labels
than the evaluation sets themselves. Patients are split into folds; an image's score comes from the head that was
fitted on the other folds, so no image is scored by a head that saw its patient. This is a diagnostic of the
features, never a competitor of the zero-shot systems.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

FOLDS = 5
INVERSE_PENALTY = 0.01
"""scikit-learn's C: strong, because rare findings have few positives for some hundred features."""


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """What the heads say of n images, and the heads as linear maps of the features as they are."""

    scores: NDArray[np.float32]
    """(n,), each image's from the head that never saw its patient."""
    fold: NDArray[np.int64]
    """(n,) which head that is."""
    weight: NDArray[np.float64]
    """(folds, d); a head's constant is left out."""


def fit(
    features: NDArray[np.float32], labels: NDArray[np.float64], patients: NDArray[np.str_], seed: int
) -> CrossFitted | None:
    """Heads that never saw the patient whose images they score.

    Each head's scores are put in units of their spread over its own training images, so that folds can be ranked
    together.

    Args:
        features: (n, d).
        labels: (n,) of 0 and 1; NaN and -1 are not trained on, but are scored.
        patients: (n,) the cluster of each image.
        seed: of the folds.

    Returns:
        None where a fold's training part lacks one of the classes, or there are too few patients.
    """
    if len(np.unique(patients)) < FOLDS:
        return None
    known = np.isin(labels, (0, 1))
    scores, fold = np.empty(len(labels), np.float32), np.empty(len(labels), np.int64)
    weights = []
    folds = GroupKFold(FOLDS, shuffle=True, random_state=seed).split(features, groups=patients)
    for place, (fitted, held_out) in enumerate(folds):
        fitted = fitted[known[fitted]]
        if len(np.unique(labels[fitted])) < 2:
            return None
        scaler = StandardScaler().fit(features[fitted])
        head = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=1000)
        scaled = scaler.transform(features[fitted])
        head.fit(scaled, labels[fitted].astype(int))
        own = head.decision_function(scaled)
        other = head.decision_function(scaler.transform(features[held_out]))
        spread = max(own.std(), 1e-12)
        scores[held_out], fold[held_out] = (other - own.mean()) / spread, place
        weights.append(head.coef_[0] / scaler.scale_ / spread)
    return CrossFitted(scores, fold, np.stack(weights))

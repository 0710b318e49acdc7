"""A linear head on frozen features, cross-fitted within one evaluation set: is a finding visible in them at all?

Findings that the training labels do not name (scoliosis, calcification ...) have no other honest source of labels
than the evaluation sets themselves. Patients are split into folds; an image's score comes from the head that was
fitted on the other folds, so no image is scored by a head that saw its patient. This is a diagnostic of the
features, never a competitor of the zero-shot systems.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

FOLDS = 5
INVERSE_PENALTY = 0.01
"""scikit-learn's C: strong, because rare findings have few positives for some hundred features."""


def out_of_fold(
    features: NDArray[np.float32], labels: NDArray[np.float64], patients: NDArray[np.str_], seed: int
) -> NDArray[np.float32]:
    """Scores of every image from heads that never saw its patient.

    Each head's scores are put in units of their spread over its own training images, so that folds can be ranked
    together.

    Args:
        features: (n, d).
        labels: (n,) of 0 and 1; NaN and -1 are not trained on, but are scored.
        patients: (n,) the cluster of each image.
        seed: of the folds.

    Returns:
        float32 (n,); all NaN where a fold's training part lacks one of the classes or there are too few patients.
    """
    scores = np.full(len(labels), np.nan, np.float32)
    if len(np.unique(patients)) < FOLDS:
        return scores
    known = np.isin(labels, (0, 1))
    for fitted, held_out in GroupKFold(FOLDS, shuffle=True, random_state=seed).split(features, groups=patients):
        fitted = fitted[known[fitted]]
        if len(np.unique(labels[fitted])) < 2:
            return np.full(len(labels), np.nan, np.float32)
        scaler = StandardScaler().fit(features[fitted])
        head = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=1000)
        scaled = scaler.transform(features[fitted])
        head.fit(scaled, labels[fitted].astype(int))
        own = head.decision_function(scaled)
        other = head.decision_function(scaler.transform(features[held_out]))
        scores[held_out] = (other - own.mean()) / max(own.std(), 1e-12)
    return scores

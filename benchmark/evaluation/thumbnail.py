"""The floor of every normal AUC: logistic regression on thumbnails of 16 x 16 pixels.

A thumbnail shows how bright and how wide a chest is and hides every small finding. What it scores can be had without
looking at the radiograph; a system that scores no more has not been shown to see anything. Like the supervised
reference it is fitted to the labels of the training split, and no evaluation set trains it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn.functional import adaptive_avg_pool2d

from benchmark.artifacts.cohort import Cohort

SIDE = 16
PART = 1024
"""Images that are reduced at a time."""
INVERSE_PENALTY = 0.01
"""scikit-learn's C for 256 standardised pixels."""


def pixels(cohort: Cohort) -> NDArray[np.float64]:
    """Grey values in [0, 1] of the split's images, reduced by area: (n, SIDE * SIDE)."""
    images = torch.from_numpy(np.asarray(cohort.images[cohort.rows]))
    small = [adaptive_avg_pool2d(part[:, None].float(), SIDE).flatten(1) for part in images.split(PART)]
    return torch.cat(small).double().numpy() / 255


def fit(cohort: Cohort) -> Pipeline | None:
    """Fit normal against abnormal on a training split; None where it lacks one of the two."""
    known = np.isin(cohort.normal, (0, 1))
    if len(np.unique(cohort.normal[known])) < 2:
        return None
    model = make_pipeline(StandardScaler(), LogisticRegression(C=INVERSE_PENALTY, max_iter=1000))
    return model.fit(pixels(cohort)[known], cohort.normal[known].astype(int))


def scores(model: Pipeline | None, cohort: Cohort) -> NDArray[np.float32]:
    """Log-odds of normal for every image of a split, float32 (n,); 0 where there is no model (AUC 0.5)."""
    if model is None:
        return np.zeros(len(cohort.rows), np.float32)
    return np.asarray(model.decision_function(pixels(cohort)), np.float32)

"""What happens at a threshold that was fitted before the test set was seen.

An image is called abnormal when its normality score lies below the threshold. Three rules fit it on the
validation split of the training dataset: `youden` (greatest sensitivity + specificity - 1), `specificity_95`
(95 % of normals stay normal), `sensitivity_95` (95 % of abnormals are called). Disease is the positive class:
sensitivity = abnormals called abnormal, specificity = normals called normal.
Source: Youden (1950). The published script fitted Youden's threshold on the test set itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.common.errors import UserError
from benchmark.statistics.auc import validated
from benchmark.statistics.bootstrap import Draws, Resampled, resampled_ratios

ERRORS = ("false_positive_rate", "false_negative_rate")


def thresholds(normal: NDArray, scores: NDArray, column: str = "scores") -> dict[str, float]:
    """Thresholds of every rule, fitted on one split.

    Args:
        normal: (n,) 1 normal, 0 abnormal, NaN unknown.
        scores: (n,) normality, higher = more normal.
        column: the name used in a complaint.

    Returns:
        Rule -> t; an image with a score >= t is called normal. Among equally good Youden thresholds the
        greatest is taken.

    Raises:
        UserError: a value is wrong, or the split lacks normals or abnormals.
    """
    normal, scores = validated(normal, scores, column)
    normals, abnormals = np.sort(scores[normal == 1]), np.sort(scores[normal == 0])
    if not len(normals) or not len(abnormals):
        raise UserError(
            f"column '{column}': a threshold needs normal and abnormal validation images, "
            f"found {len(normals)} and {len(abnormals)}; enlarge the validation split."
        )
    candidates = np.unique(scores[~np.isnan(normal)])[::-1]
    specificity = 1 - np.searchsorted(normals, candidates, "left") / len(normals)
    sensitivity = np.searchsorted(abnormals, candidates, "left") / len(abnormals)
    kept = int(np.ceil(0.95 * len(normals)))
    called = int(np.ceil(0.95 * len(abnormals)))
    return {
        "youden": float(candidates[np.argmax(specificity + sensitivity)]),
        "specificity_95": float(normals[len(normals) - kept]),
        "sensitivity_95": float(np.nextafter(abnormals[called - 1], np.inf)),
    }


def error_rates(normal: NDArray, scores: NDArray, threshold: float, draws: Draws) -> dict[str, Resampled]:
    """False-positive rate (normals called abnormal) and false-negative rate (abnormals called normal).

    The threshold is taken as given: the interval is over test patients, as for any rule already in use.
    """
    called_abnormal = np.asarray(scores) < threshold
    is_normal, is_abnormal = np.asarray(normal) == 1, np.asarray(normal) == 0
    wrong = np.stack([is_normal & called_abnormal, is_abnormal & ~called_abnormal], axis=1)
    rates = resampled_ratios(wrong, np.stack([is_normal, is_abnormal], axis=1), draws)
    return dict(zip(ERRORS, rates, strict=True))

"""Thresholds against scikit-learn's ROC curve, and rates by counting."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from benchmark.common.errors import UserError
from benchmark.statistics.bootstrap import draw
from benchmark.statistics.operating import error_rates, thresholds


def split(seed: int, levels: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Normality labels and scores with ties."""
    generator = np.random.default_rng(seed)
    normal = (generator.random(500) < 0.6).astype(float)
    return normal, np.round((generator.normal(size=500) + normal) / levels) * levels


@pytest.mark.parametrize("seed", range(5))
def test_youden_is_the_first_maximum_of_scikit_learns_curve(seed: int) -> None:
    normal, scores = split(seed)
    false, true, cuts = roc_curve(normal, scores, drop_intermediate=False)
    found = thresholds(normal, scores)["youden"]
    position = int(np.flatnonzero(cuts == found)[0])
    assert true[position] - false[position] == pytest.approx((true - false).max(), abs=1e-12)
    assert not ((true - false)[:position] > (true - false).max() - 1e-9).any()


@pytest.mark.parametrize("levels", [0.001, 1.0])
def test_95_percent_is_kept_and_no_tighter_threshold_keeps_it(levels: float) -> None:
    normal, scores = split(1, levels)
    found = thresholds(normal, scores)

    def specificity(t: float) -> float:
        return float(np.mean(scores[normal == 1] >= t))

    def sensitivity(t: float) -> float:
        return float(np.mean(scores[normal == 0] < t))

    assert specificity(found["specificity_95"]) >= 0.95
    assert specificity(np.nextafter(found["specificity_95"], np.inf)) < 0.95
    assert sensitivity(found["sensitivity_95"]) >= 0.95
    assert sensitivity(np.nextafter(found["sensitivity_95"], -np.inf)) < 0.95


def test_rates_count_normals_called_abnormal_and_abnormals_called_normal() -> None:
    normal = np.array([1, 1, 1, 1, 0, 0, np.nan])
    scores = np.array([0.9, 0.8, 0.2, 0.5, 0.6, 0.1, 0.0])
    rates = error_rates(normal, scores, 0.5, draw(range(7), 50, 1))
    assert rates["false_positive_rate"].estimate == 0.25
    assert rates["false_negative_rate"].estimate == 0.5


def test_an_image_at_the_threshold_is_normal() -> None:
    rates = error_rates(np.array([1.0, 0.0]), np.array([0.5, 0.5]), 0.5, draw(range(2), 10, 1))
    assert (rates["false_positive_rate"].estimate, rates["false_negative_rate"].estimate) == (0.0, 1.0)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_split_of_one_class_fits_no_threshold(value: float) -> None:
    with pytest.raises(UserError, match="needs normal and abnormal validation images"):
        thresholds(np.full(5, value), np.arange(5.0), "prompt of scores/clip-0/mimic_cxr.parquet")

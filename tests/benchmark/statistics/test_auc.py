"""AUC against scikit-learn, SciPy and a literal double loop, with every kind of tie and absence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from benchmark.common.errors import UserError
from benchmark.statistics.auc import Ranking, auc, placements, validated
from tests.properties import examples


def literal(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """The definition: every positive against every negative, a tie counts a half."""
    won = total = 0.0
    for i in np.flatnonzero(labels == 1):
        for j in np.flatnonzero(labels == 0):
            pair = float(weights[i]) * float(weights[j])
            won += pair * ((scores[i] > scores[j]) + 0.5 * (scores[i] == scores[j]))
            total += pair
    return won / total if total else float("nan")


@pytest.mark.parametrize("levels", [2, 5, 1000])
@pytest.mark.parametrize("prevalence", [0.02, 0.5, 0.97])
def test_weighted_auc_is_scikit_learns(levels: int, prevalence: float) -> None:
    generator = np.random.default_rng(levels)
    labels = (generator.random(700) < prevalence).astype(float)
    labels[:2] = 0, 1
    scores = np.round(generator.random(700) * levels).astype(np.float32)
    weights = generator.integers(0, 4, (700, 25)).astype(np.float32)
    weights[:2] = 1
    expected = [roc_auc_score(labels, scores, sample_weight=column) for column in weights.T]
    np.testing.assert_allclose(Ranking.of(labels, scores).auc(weights), expected, atol=1e-12)


@examples(200)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3), st.integers(0, 3)), min_size=1, max_size=12))
def test_any_small_column_equals_the_double_loop(rows: list[tuple[int, int, int]]) -> None:
    labels, scores, weights = np.array(rows, float).T
    np.testing.assert_allclose(auc(labels, scores, weights), literal(labels, scores, weights), atol=1e-12)


def test_auc_is_the_mann_whitney_statistic() -> None:
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, 300).astype(float)
    scores = np.round(generator.normal(size=300) + labels, 1)
    u = stats.mannwhitneyu(scores[labels == 1], scores[labels == 0]).statistic
    assert auc(labels, scores) == pytest.approx(u / (sum(labels == 1) * sum(labels == 0)), abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [([0, 1], [0, 1], 1.0), ([0, 1], [1, 0], 0.0), ([0, 1], [2, 2], 0.5), ([0, 0, 1, 1], [1, 2, 2, 3], 0.875)],
)
def test_auc_of_columns_one_can_count(labels: list[int], scores: list[int], expected: float) -> None:
    assert auc(np.array(labels), np.array(scores)) == expected


@pytest.mark.parametrize("labels", [[1, 1, 1], [0, 0], [np.nan, 1], []])
def test_one_class_alone_has_no_auc(labels: list[float]) -> None:
    assert np.isnan(auc(np.array(labels), np.zeros(len(labels))))


def test_unknown_labels_take_no_part_even_with_scores_that_are_no_numbers() -> None:
    labels, scores = np.array([0, 1, np.nan, 0, 1]), np.array([0.1, 0.4, np.nan, 0.3, 0.2])
    known = ~np.isnan(labels)
    assert auc(labels, scores) == roc_auc_score(labels[known], scores[known])


def test_float32_scores_that_differ_in_the_last_bit_are_not_tied() -> None:
    low = np.float32(0.1)
    assert auc(np.array([0, 1]), np.array([low, np.nextafter(low, np.float32(1))])) == 1.0


def test_each_classs_mean_placement_is_the_auc() -> None:
    generator = np.random.default_rng(5)
    labels = generator.integers(0, 2, 400).astype(float)
    labels[::17] = np.nan
    scores = np.round(generator.normal(size=400), 1)
    found = placements(labels, scores)
    for value in (0, 1):
        assert found[labels == value].mean() == pytest.approx(auc(labels, scores), abs=1e-12)
    assert np.isnan(found[::17]).all()


@pytest.mark.parametrize(
    ("labels", "scores", "sentence"),
    [
        ([0, 1, 1], [0, np.nan, 1], r"column 'Edema', row 1: expected a finite score, found nan"),
        ([0, 1, 1], [0, 1, np.inf], r"column 'Edema', row 2: expected a finite score, found inf"),
        ([0, 1, -1], [0, 1, 2], r"column 'Edema', row 2: expected label 0, 1 or empty, found -1"),
        ([0, 1], [0, 1, 2], r"column 'Edema': expected one score per label, found \(3,\) and \(2,\)"),
    ],
)
def test_bad_input_is_named_by_row_and_column(labels: list[float], scores: list[float], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        validated(np.array(labels), np.array(scores), "Edema")

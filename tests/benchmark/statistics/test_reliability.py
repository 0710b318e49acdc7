"""Average precision, Brier and Platt against scikit-learn; the calibration error by a literal loop."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import average_precision_score, brier_score_loss

from benchmark.statistics import reliability
from benchmark.statistics.bootstrap import draw
from benchmark.statistics.reliability import BINS, average_precision, brier, expected_calibration_error, platt


def column(seed: int = 0, images: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patients, labels and tied scores."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(images) < 0.4).astype(float)
    return np.arange(images) // 2, labels, np.round(generator.normal(size=images) + labels, 1)


def test_average_precision_is_scikit_learns_in_every_replicate() -> None:
    patients, labels, scores = column()
    draws = draw(patients, 40, 1)
    found = average_precision(labels, scores, draws)
    assert found.estimate == pytest.approx(average_precision_score(labels, scores), abs=1e-12)
    weights = draws.counts[draws.cluster].T
    expected = [average_precision_score(labels, scores, sample_weight=weight) for weight in weights]
    np.testing.assert_allclose(found.replicates, expected, atol=1e-12)


def test_brier_is_scikit_learns_and_leaves_unknown_labels_out() -> None:
    patients, labels, scores = column()
    probability = expit(scores)
    unknown = labels.copy()
    unknown[::7] = np.nan
    known = ~np.isnan(unknown)
    found = brier(unknown, probability, draw(patients, 10, 1))
    assert found.estimate == pytest.approx(brier_score_loss(labels[known], probability[known]))


def test_calibration_error_by_a_literal_loop() -> None:
    patients, labels, scores = column()
    probability = expit(scores)
    draws = draw(patients, 20, 1)
    found = expected_calibration_error(labels, probability, draws)

    def literal(rows: np.ndarray) -> float:
        total = 0.0
        for k in range(BINS):
            inside = rows[(probability[rows] >= k / BINS) & (probability[rows] < (k + 1) / BINS)]
            if len(inside):
                total += len(inside) / len(rows) * abs(probability[inside].mean() - labels[inside].mean())
        return total

    assert found.estimate == pytest.approx(literal(np.arange(len(labels))))
    for replicate in range(20):
        rows = np.repeat(np.arange(len(labels)), draws.counts[draws.cluster, replicate])
        assert found.replicates[replicate] == pytest.approx(literal(rows))


def test_platt_minimises_the_smoothed_cross_entropy() -> None:
    _, labels, scores = column(2)
    positives, negatives = labels.sum(), (1 - labels).sum()
    target = np.where(labels == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(parameters: np.ndarray) -> float:
        z = parameters[0] * scores + parameters[1]
        return float(np.sum(np.logaddexp(0, z) - target * z))

    slope, offset = minimize(loss, [0.0, 0.0], tol=1e-12).x
    np.testing.assert_allclose(platt(labels, scores)(scores), expit(slope * scores + offset), atol=1e-4)


def test_platt_of_separable_or_constant_scores_stays_a_probability() -> None:
    labels = np.repeat([0.0, 1.0], 20)
    separable = platt(labels, labels * 10)(np.array([0.0, 10.0]))
    assert 0 < separable[0] < 0.1 < 0.9 < separable[1] < 1
    np.testing.assert_allclose(platt(labels, np.zeros(40))(np.zeros(3)), 0.5, atol=1e-6)


def test_prior_correction_undoes_a_shift_of_prevalence_alone() -> None:
    generator = np.random.default_rng(8)
    n, odds = 40_000, lambda p: p / (1 - p)
    labels = (generator.random(n) < 0.2).astype(float)
    scores = generator.normal(size=n) + 1.5 * labels
    # With half positives, the true log odds of N(1.5, 1) against N(0, 1) are 1.5 s - 1.125.
    fitted = 1 / (1 + np.exp(-(1.5 * scores - 1.125)))
    corrected = reliability.prior_corrected(fitted, 0.5, 0.2)
    draws = draw(np.arange(n), 10, 0)
    before, after = (reliability.expected_calibration_error(labels, p, draws).estimate for p in (fitted, corrected))
    assert before > 0.1
    assert after < 0.01
    np.testing.assert_allclose(odds(corrected) / odds(fitted), 0.25)
    assert reliability.prior_corrected(fitted, 0.5, 1.0) is fitted


def test_the_brier_score_of_the_base_rate_is_its_variance() -> None:
    labels = np.array([1.0, 0.0, 0.0, np.nan, 0.0])
    found = reliability.brier_of_base_rate(labels, draw(np.arange(5), 50, 0))
    assert found.estimate == pytest.approx(brier_score_loss([1, 0, 0, 0], [0.25] * 4))


def test_a_reliability_diagram_counts_every_known_image_once() -> None:
    labels = np.array([1.0, 0.0, 1.0, np.nan])
    table = reliability.diagram(labels, np.array([0.01, 0.02, 1.0, 0.5]))
    assert table.sum(axis=0).tolist() == pytest.approx([3, 1.03, 2])
    assert table[0].tolist() == pytest.approx([2, 0.03, 1])

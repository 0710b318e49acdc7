"""p-values against DeLong written out, SciPy's correction and hand calculation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmark.statistics.bootstrap import Resampled, draw, resampled_aucs
from benchmark.statistics.comparison import bootstrap_p, delong_p, holm
from benchmark.statistics.intervals import Form, interval


def delong_written_out(labels: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """DeLong, DeLong & Clarke-Pearson (1988), section 2, with the m x n kernel in full."""
    kernels = []
    for scores in (a, b):
        x, y = scores[labels == 1][:, None], scores[labels == 0][None, :]
        kernels.append((x > y) + 0.5 * (x == y))
    v10 = np.cov([kernel.mean(axis=1) for kernel in kernels])
    v01 = np.cov([kernel.mean(axis=0) for kernel in kernels])
    covariance = v10 / np.sum(labels == 1) + v01 / np.sum(labels == 0)
    difference = kernels[0].mean() - kernels[1].mean()
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    return 2 * stats.norm.sf(abs(difference) / error)


def pair(seed: int, images: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and two correlated systems with ties, the first the better."""
    generator = np.random.default_rng(seed)
    labels = (generator.random(images) < 0.3).astype(float)
    common = generator.normal(size=images)
    a = np.round(common + generator.normal(size=images) + 1.0 * labels, 1)
    b = np.round(common + generator.normal(size=images) + 0.6 * labels, 1)
    return labels, a, b


@pytest.mark.parametrize("seed", range(5))
def test_delong_equals_the_formula_written_out(seed: int) -> None:
    labels, a, b = pair(seed)
    assert delong_p(labels, a[None], b[None]) == pytest.approx(delong_written_out(labels, a, b), rel=1e-9)


@pytest.mark.parametrize("form", ["percentile", "logit"])
@pytest.mark.parametrize("seed", range(4))
def test_bootstrap_and_delong_agree_where_a_cluster_is_one_image(seed: int, form: Form) -> None:
    labels, a, b = pair(seed)
    first, second = resampled_aucs(
        np.stack([labels, labels], 1), np.stack([a, b], 1), draw(range(len(labels)), 4000, seed)
    )
    assert bootstrap_p(first - second, form) == pytest.approx(delong_p(labels, a[None], b[None]), abs=0.03)


def test_the_same_system_twice_has_p_one() -> None:
    labels, a, _ = pair(0)
    both = np.stack([a, a], 1)
    first, second = resampled_aucs(np.stack([labels, labels], 1), both, draw(range(len(labels)), 100, 1))
    assert bootstrap_p(first - second, "percentile") == bootstrap_p(first - second, "logit") == 1.0
    assert delong_p(labels, a[None], a[None]) == 1.0


def test_p_counts_the_rarer_sign_and_never_reaches_zero() -> None:
    values = np.concatenate([np.full(3, -1.0), np.full(96, 1.0), [np.nan]])
    assert bootstrap_p(Resampled(1.0, values, np.empty(0)), "percentile") == pytest.approx(2 * 4 / 100)
    assert bootstrap_p(Resampled(1.0, np.linspace(0.5, 1.5, 99), np.empty(0)), "percentile") == pytest.approx(2 / 100)
    assert np.isnan(bootstrap_p(Resampled(np.nan, np.full(5, np.nan), np.empty(0)), "logit"))


def test_p_is_below_five_percent_exactly_where_the_95_percent_interval_leaves_out_zero() -> None:
    for seed in range(20):
        labels, a, b = pair(seed, 150)
        first, second = resampled_aucs(np.stack([labels] * 2, 1), np.stack([a, b], 1), draw(range(150), 300, seed))
        found = interval(first - second, "logit", 0.95, within=None)
        assert (bootstrap_p(first - second, "logit") < 0.05) == (found.low > 0 or found.high < 0)


@pytest.mark.parametrize("form", ["percentile", "logit"])
def test_a_difference_that_never_varies_is_not_called_significant(form: Form) -> None:
    assert np.isnan(bootstrap_p(Resampled(0.3, np.full(50, 0.3), np.zeros(1)), form))
    labels = np.array([0.0, 0, 1, 1])
    assert np.isnan(delong_p(labels, labels[None], 1 - labels[None]))


def test_delong_needs_two_of_each_class() -> None:
    assert np.isnan(delong_p(np.array([0.0, 0, 1]), np.zeros((1, 3)), np.ones((1, 3))))


def test_delong_averages_the_seeds() -> None:
    labels, a, b = pair(1)
    assert delong_p(labels, np.stack([a, a]), b[None]) == pytest.approx(delong_p(labels, a[None], b[None]))


def test_holm_by_hand_and_with_a_test_that_could_not_be_made() -> None:
    adjusted = holm(np.array([0.04, np.nan, 0.01, 0.03, 0.9]))
    np.testing.assert_allclose(adjusted, [0.09, np.nan, 0.04, 0.09, 0.9])
    assert (holm(np.array([0.6, 0.7])) == 1.0).all()


def test_holm_is_never_below_p_nor_above_bonferroni() -> None:
    p = np.random.default_rng(0).random(40) ** 3
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, 40 * p) + 1e-15).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()

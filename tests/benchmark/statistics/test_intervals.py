"""Interval forms against SciPy's, and their behaviour at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from benchmark.statistics.bootstrap import Resampled, draw, draw_seeds, over_seeds, resampled_aucs, resampled_ratios
from benchmark.statistics.comparison import bootstrap_p
from benchmark.statistics.intervals import DIFFERENCE, SHARE, Form, Range, degrees_of_freedom, interval
from benchmark.statistics.seeds import SeedLayout, SeedVariance


def test_percentile_bounds_are_quantiles_of_the_defined_replicates() -> None:
    replicates = np.append(np.random.default_rng(0).normal(size=999), np.nan)
    found = interval(Resampled(0.0, replicates, np.empty(0)), "percentile", 0.9)
    np.testing.assert_allclose([found.low, found.high], np.nanquantile(replicates, [0.05, 0.95]))
    assert found.undefined == 1


def test_bca_of_a_skewed_mean_is_scipys() -> None:
    values = np.random.default_rng(1).exponential(size=80)
    statistic = resampled_ratios(values[:, None], np.ones((80, 1)), draw(range(80), 20_000, 1))[0]
    expected = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", rng=2).confidence_interval
    found = interval(statistic, "bca", 0.95, within=None)
    plain = interval(statistic, "percentile", 0.95, within=None)
    assert found.low == pytest.approx(expected.low, abs=0.012)
    assert found.high == pytest.approx(expected.high, abs=0.012)
    assert found.high - plain.high > 0.012


def test_logit_interval_stays_inside_the_unit_interval() -> None:
    generator = np.random.default_rng(2)
    labels = np.repeat([0.0, 1.0], [60, 12])
    scores = generator.normal(size=72) + 3.2 * labels
    statistic = resampled_aucs(labels[:, None], scores[:, None], draw(range(72), 2000, 1))[0]
    found = interval(statistic, "logit", 0.95)
    assert 0 < found.low < statistic.estimate < found.high < 1
    error = statistic.replicates.std(ddof=1) / (statistic.estimate * (1 - statistic.estimate))
    quantile = stats.t.ppf(0.975, degrees_of_freedom(statistic))
    assert found.high == pytest.approx(special.expit(special.logit(statistic.estimate) + quantile * error))


def test_a_difference_and_an_estimate_of_one_have_no_log_odds() -> None:
    values = np.random.default_rng(3).normal(0.1, 1, size=500)
    found = interval(Resampled(0.1, values, np.empty(0)), "logit", 0.95, within=None)
    assert found.high - 0.1 == pytest.approx(1.959964 * values.std(ddof=1))
    rounded = interval(Resampled(1.0, np.append(np.ones(499), 0.99), np.zeros(4)), "logit", 0.95)
    assert rounded.low < 1.0 < rounded.high


def test_degrees_of_freedom_of_a_normal_mean_are_about_the_sample_size() -> None:
    values = np.random.default_rng(5).normal(size=400)
    statistic = resampled_ratios(values[:, None], np.ones((400, 1)), draw(range(400), 50, 1))[0]
    assert degrees_of_freedom(statistic) == pytest.approx(400, rel=0.15)


def test_degrees_of_freedom_know_that_ten_positives_are_few() -> None:
    generator = np.random.default_rng(6)
    labels = np.repeat([0.0, 1.0], [2000, 10])
    scores = generator.normal(size=2010) + labels
    statistic = resampled_aucs(labels[:, None], scores[:, None], draw(range(2010), 200, 1))[0]
    assert 5 < degrees_of_freedom(statistic) < 20


def test_three_seeds_that_carry_all_variance_leave_two_degrees_of_freedom() -> None:
    parts = [Resampled(value, np.full(5000, value), np.zeros(9)) for value in (0.5, 0.6, 0.8)]
    layout = SeedLayout.of({("one", seed): part.estimate for seed, part in enumerate(parts)})
    statistic = over_seeds(parts, draw_seeds(3, 5000, 1), layout.of_mean({"one": 1.0}, 3))
    assert degrees_of_freedom(statistic) == pytest.approx(2, rel=0.05)
    expected = stats.t.interval(0.95, 2, np.mean([0.5, 0.6, 0.8]), stats.sem([0.5, 0.6, 0.8]))
    found = interval(statistic, "logit", 0.95, within=None)
    np.testing.assert_allclose([found.low, found.high], expected)


@pytest.mark.parametrize("form", ["percentile", "logit", "bca"])
def test_no_replicate_no_interval(form: str) -> None:
    found = interval(Resampled(0.5, np.full(20, np.nan), np.zeros(3)), form, 0.95)  # type: ignore[arg-type]
    assert np.isnan(found.low)
    assert np.isnan(found.high)
    assert found.undefined == 20


@pytest.mark.parametrize("form", ["percentile", "logit", "bca"])
@pytest.mark.parametrize(("estimate", "within"), [(0.5, SHARE), (1.0, SHARE), (0.0, DIFFERENCE)])
def test_replicates_that_do_not_differ_give_no_interval_rather_than_certainty(
    form: Form, estimate: float, within: Range
) -> None:
    found = interval(Resampled(estimate, np.full(20, estimate), np.zeros(3)), form, 0.95, within)
    assert np.isnan(found.low)
    assert np.isnan(found.high)


@pytest.mark.parametrize("level", [0.9, 0.95])
@pytest.mark.parametrize("hits", [0, 1])
def test_a_rate_of_0_or_1_has_scipys_exact_interval_over_its_patients(hits: int, level: float) -> None:
    patients = np.repeat(np.arange(40), 2)
    counts = (patients < 25).astype(float)[:, None]  # 15 patients do not show the finding
    seeds = [resampled_ratios(hits * counts, counts, draw(patients, 100, seed))[0] for seed in range(3)]
    expected = stats.binomtest(25 * hits, 25).proportion_ci(level, method="exact")
    for statistic in (seeds[0], over_seeds(seeds, draw_seeds(3, 100, 1), SeedVariance(0.01, 2))):
        found = interval(statistic, "logit", level)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    difference = interval(seeds[0] - seeds[1], "logit", level, within=None)
    assert np.isnan(difference.low)


@pytest.mark.parametrize("form", ["percentile", "logit", "bca"])
def test_the_form_of_a_symmetric_statistic_hardly_matters(form: str) -> None:
    generator = np.random.default_rng(4)
    labels = generator.integers(0, 2, 4000).astype(float)
    scores = generator.normal(size=4000) + 0.5 * labels
    statistic = resampled_aucs(labels[:, None], scores[:, None], draw(range(4000), 4000, 1))[0]
    error = np.sqrt(np.sum(statistic.influence**2))
    found = interval(statistic, form, 0.95)  # type: ignore[arg-type]
    assert found.low == pytest.approx(statistic.estimate - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(statistic.estimate + 1.96 * error, abs=0.1 * error)


@pytest.mark.parametrize("estimate", [-0.97, -0.2, 0.0, 0.03, 0.9])
@pytest.mark.parametrize("error", [0.001, 0.2, 2.0])
def test_a_difference_of_shares_stays_in_its_range_and_agrees_with_its_p(estimate: float, error: float) -> None:
    replicates = estimate + error * np.random.default_rng(7).normal(size=500)
    difference = Resampled(estimate, replicates, np.empty(0))
    found = interval(difference, "logit", 0.95, DIFFERENCE)
    assert -1 <= found.low < estimate < found.high <= 1
    excluded = found.low > 0 or found.high < 0
    assert (bootstrap_p(difference, "logit", DIFFERENCE) < 0.05) == excluded
    if error < 0.01 and abs(estimate) < 0.5:
        assert found.high - estimate == pytest.approx(1.96 * replicates.std(ddof=1), rel=0.02)

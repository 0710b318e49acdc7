"""The cluster bootstrap against the loop that nobody has time for: duplicate the rows, call scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmark.common.errors import UserError
from benchmark.statistics.bootstrap import (
    Draws,
    Resampled,
    draw,
    draw_seeds,
    least,
    mean,
    mean_of_independent,
    over_seeds,
    resampled_aucs,
    resampled_ratios,
)
from benchmark.statistics.seeds import SeedVariance


def data(seed: int = 0, images: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patients of one to three images, three findings, scores with ties."""
    generator = np.random.default_rng(seed)
    patients = np.sort(generator.integers(0, images // 2, images))
    labels = (generator.random((images, 3)) < [0.05, 0.3, 0.9]).astype(float)
    scores = np.round(generator.normal(size=(images, 3)) + labels, 1)
    return patients, labels, scores


def copies(draws: Draws, replicate: int) -> np.ndarray:
    """Row numbers of one replicate, each as often as its patient was drawn."""
    return np.repeat(np.arange(len(draws.cluster)), draws.counts[draws.cluster, replicate])


def test_every_replicate_is_what_scikit_learn_says_of_the_duplicated_rows() -> None:
    patients, labels, scores = data()
    draws = draw(patients, 50, seed=1)
    for k, statistic in enumerate(resampled_aucs(labels, scores, draws)):
        assert statistic.estimate == pytest.approx(roc_auc_score(labels[:, k], scores[:, k]), abs=1e-12)
        for replicate in range(50):
            rows = copies(draws, replicate)
            if len(set(labels[rows, k])) == 2:
                expected = roc_auc_score(labels[rows, k], scores[rows, k])
                assert statistic.replicates[replicate] == pytest.approx(expected, abs=1e-12)
            else:
                assert np.isnan(statistic.replicates[replicate])


def test_images_of_a_patient_stay_together_and_as_many_patients_are_drawn_as_there_are() -> None:
    patients, _, _ = data()
    draws = draw(patients, 40, seed=1)
    assert (draws.counts.sum(axis=0) == len(np.unique(patients))).all()
    weights = draws.counts[draws.cluster]
    for patient in np.unique(patients):
        assert (weights[patients == patient] == weights[patients == patient][0]).all()


def test_draws_depend_on_seed_and_dataset_and_on_nothing_else() -> None:
    patients, _, _ = data()
    first = draw(patients, 20, 1, "vindr_cxr")
    np.testing.assert_array_equal(first.counts, draw(patients, 20, 1, "vindr_cxr").counts)
    assert (first.counts != draw(patients, 20, 2, "vindr_cxr").counts).any()
    assert (first.counts != draw(patients, 20, 1, "open_i").counts).any()


def test_a_replicate_without_a_rare_class_is_undefined() -> None:
    rare = np.zeros(400, bool)
    rare[:2] = True
    scores = np.random.default_rng(0).normal(size=(400, 1))
    found = resampled_aucs(rare[:, None], scores, draw(np.arange(400), 300, 1))[0]
    assert np.isnan(found.replicates).mean() == pytest.approx(np.exp(-2), abs=0.07)


def test_a_single_patient_gives_an_estimate_and_no_spread() -> None:
    labels, scores = np.array([[0.0], [1.0], [1.0]]), np.array([[0.1], [0.3], [0.0]])
    statistic = resampled_aucs(labels, scores, draw(["p", "p", "p"], 30, 1))[0]
    assert statistic.estimate == 0.5
    assert (statistic.replicates == 0.5).all()


def test_one_class_has_no_estimate_and_no_replicate() -> None:
    statistic = resampled_aucs(np.ones((5, 1)), np.zeros((5, 1)), draw(range(5), 10, 1))[0]
    assert np.isnan(statistic.estimate)
    assert np.isnan(statistic.replicates).all()


def numerical_influence(value: object, clusters: int, step: float = 1e-6) -> np.ndarray:
    """Derivative of a function of cluster weights at equal weights, by central differences."""
    result = np.empty(clusters)
    for c in range(clusters):
        sides = []
        for sign in (1, -1):
            weights = np.ones(clusters)
            weights[c] += sign * step
            sides.append(value(weights))  # type: ignore[operator]
        result[c] = (sides[0] - sides[1]) / (2 * step)
    return result


def test_influences_of_an_auc_are_its_derivatives() -> None:
    patients, labels, scores = data(images=60)
    draws = draw(patients, 10, 1)
    statistic = resampled_aucs(labels[:, 1:2], scores[:, 1:2], draws)[0]
    expected = numerical_influence(
        lambda w: roc_auc_score(labels[:, 1], scores[:, 1], sample_weight=w[draws.cluster]), draws.clusters
    )
    np.testing.assert_allclose(statistic.influence, expected, atol=1e-6)


def test_the_influences_variance_is_that_of_the_replicates() -> None:
    patients, labels, scores = data(images=1500)
    statistic = resampled_aucs(labels, scores, draw(patients, 1500, 1))[1]
    assert np.sqrt(np.sum(statistic.influence**2)) == pytest.approx(statistic.replicates.std(), rel=0.08)


def test_ratios_are_weighted_means_of_the_chosen_rows() -> None:
    patients, labels, scores = data()
    draws = draw(patients, 30, 2)
    statistic = resampled_ratios(scores * labels, labels, draws)[0]
    chosen = labels[:, 0] == 1
    assert statistic.estimate == pytest.approx(scores[chosen, 0].mean())
    for replicate in range(30):
        weights = draws.counts[draws.cluster, replicate][chosen]
        if weights.sum():
            assert statistic.replicates[replicate] == pytest.approx(np.average(scores[chosen, 0], weights=weights))
    expected = numerical_influence(
        lambda w: np.average(scores[chosen, 0], weights=w[draws.cluster][chosen]), draws.clusters
    )
    np.testing.assert_allclose(statistic.influence, expected, atol=1e-6)


def test_a_difference_is_taken_replicate_by_replicate() -> None:
    patients, labels, scores = data()
    first, second, _ = resampled_aucs(labels, scores, draw(patients, 20, 1))
    difference = first - second
    assert difference.estimate == first.estimate - second.estimate
    np.testing.assert_array_equal(difference.replicates, first.replicates - second.replicates)
    np.testing.assert_array_equal(difference.influence, first.influence - second.influence)


def test_a_macro_replicate_with_an_undefined_finding_is_the_mean_of_the_others() -> None:
    parts = [
        Resampled(0.6, np.array([0.5, np.nan, np.nan]), np.zeros(2)),
        Resampled(0.8, np.array([0.9, 0.7, np.nan]), np.ones(2)),
    ]
    macro = mean(parts)
    assert macro.estimate == pytest.approx(0.7)
    np.testing.assert_allclose(macro.replicates, [0.7, 0.7, np.nan])
    np.testing.assert_allclose(macro.influence, [0.5, 0.5])


def test_datasets_are_averaged_with_their_own_patients() -> None:
    parts = [Resampled(0.5, np.array([0.4, 0.6]), np.ones(3)), Resampled(0.7, np.array([0.8, 0.6]), np.ones(5))]
    average = mean_of_independent(parts)
    np.testing.assert_allclose(average.replicates, [0.6, 0.6])
    np.testing.assert_allclose(average.influence, np.full(8, 0.5))


def test_seed_level_has_the_unbiased_variance_of_a_mean_of_three() -> None:
    estimates = np.array([0.60, 0.66, 0.75])
    drawn = draw_seeds(3, 20_000, 1)
    parts = [Resampled(value, np.full(20_000, value), np.zeros(4)) for value in estimates]
    statistic = over_seeds(parts, drawn, SeedVariance(0.01, 2))
    expected = estimates.std(ddof=1) / np.sqrt(3)
    assert statistic.estimate == pytest.approx(estimates.mean())
    assert statistic.replicates.std() == pytest.approx(expected, rel=0.02)
    assert (statistic.patients, statistic.seeds) == (0.0, SeedVariance(0.01, 2))


def test_patients_and_seeds_both_widen_the_interval() -> None:
    patients, labels, scores = data(images=600)
    draws = draw(patients, 4000, 1)
    generator = np.random.default_rng(9)
    parts = [
        resampled_aucs(labels[:, 1:2], scores[:, 1:2] + generator.normal(size=(600, 1)), draws)[0] for _ in range(3)
    ]
    both = over_seeds(parts, draw_seeds(3, 4000, 1), SeedVariance()).replicates.var()
    seeds = np.var([part.estimate for part in parts], ddof=1) / 3
    assert both == pytest.approx(mean(parts).replicates.var() + seeds, rel=0.25)
    one = over_seeds(parts[:1], draw_seeds(1, 4000, 1), SeedVariance())
    assert one.replicates == pytest.approx(parts[0].replicates)
    assert one.patients == pytest.approx(parts[0].replicates.var(ddof=1))


def test_the_patients_share_is_what_the_seeds_have_in_common() -> None:
    """Two seeds whose errors on the patients are half common and half their own, so that the answer is known."""
    generator = np.random.default_rng(3)
    common, own = generator.normal(size=20_000), generator.normal(size=(2, 20_000))
    parts = [Resampled(0.0, common + one, np.zeros(4)) for one in own]
    statistic = over_seeds(parts, draw_seeds(2, 20_000, 1), SeedVariance(0.5, 8))
    assert statistic.patients == pytest.approx(1.0, rel=0.05)
    average = mean_of_independent([statistic, statistic], SeedVariance(0.1, 8))
    assert average.patients == pytest.approx(statistic.patients / 2)
    assert average.seeds == SeedVariance(0.1, 8)


def test_bad_input_is_named() -> None:
    draws = draw(range(4), 5, 1)
    labels, scores = np.array([[0.0], [1], [1], [0]]), np.zeros((4, 1))
    scores[2] = np.nan
    with pytest.raises(UserError, match=r"column 'Edema', row 2: expected a finite score, found nan"):
        resampled_aucs(labels, scores, draws, ["Edema"])
    with pytest.raises(UserError, match=r"of 4 images, found \(3, 1\) and \(4, 1\)"):
        resampled_aucs(labels[:3], scores, draws)
    with pytest.raises(UserError, match=r"dataset 'open_i': expected at least one image"):
        draw([], 5, 1, "open_i")


def test_the_least_is_taken_in_each_replicate() -> None:
    one = Resampled(0.6, np.array([0.5, 0.7, np.nan]), np.array([1.0, -1.0]))
    other = Resampled(0.8, np.array([0.4, 0.9, 0.8]), np.array([2.0, -2.0]))
    found = least([other, one])
    assert found.estimate == 0.6
    np.testing.assert_array_equal(found.replicates, [0.4, 0.7, 0.8])
    np.testing.assert_array_equal(found.influence, one.influence)

"""A cross-fitted head sees what is there, sees nothing where nothing is, and never the patient it scores."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmark.evaluation import crossfit

GENERATOR = np.random.default_rng(0)
N = 400
PATIENTS = np.repeat(np.arange(N // 4), 4).astype(str)
LABELS = np.tile([0, 0, 1, 0, 1, 0, 0, 0], N // 8).astype(np.float32)


def out_of_fold(features: np.ndarray, labels: np.ndarray, patients: np.ndarray, seed: int) -> np.ndarray:
    found = crossfit.fit(features, labels, patients, seed)
    assert found is not None
    return found.scores


def test_a_visible_finding_is_found() -> None:
    features = GENERATOR.normal(size=(N, 30)).astype(np.float32)
    features[:, 4] += 2 * LABELS
    assert roc_auc_score(LABELS, out_of_fold(features, LABELS, PATIENTS, 0)) > 0.85


def test_a_patients_own_appearance_does_not_leak_into_its_score() -> None:
    by_patient = GENERATOR.normal(size=(N // 4, 200)).repeat(4, axis=0).astype(np.float32)
    labels = (GENERATOR.random(N // 4) < 0.4).repeat(4).astype(np.float32)  # the label is the patient's
    shuffled = np.arange(N).astype(str)
    assert roc_auc_score(labels, out_of_fold(by_patient, labels, shuffled, 0)) > 0.9  # what a leak would give
    assert roc_auc_score(labels, out_of_fold(by_patient, labels, PATIENTS, 0)) < 0.65


def test_unknown_labels_are_scored_but_teach_nothing() -> None:
    features = GENERATOR.normal(size=(N, 10)).astype(np.float32)
    features[:, 0] += 2 * LABELS
    known = LABELS.copy()
    known[::5], known[1::5] = np.nan, -1
    scores = out_of_fold(features, known, PATIENTS, 0)
    assert np.isfinite(scores).all()
    assert roc_auc_score(LABELS[::5], scores[::5]) > 0.8
    wrong = known.copy()
    wrong[1::5] = np.nan  # not mentioned instead of uncertain: neither teaches
    np.testing.assert_array_equal(scores, out_of_fold(features, wrong, PATIENTS, 0))
    wrong[1::5] = 1 - LABELS[1::5]
    assert not np.array_equal(scores, out_of_fold(features, wrong, PATIENTS, 0))


@pytest.mark.parametrize("case", ["one class in a fold", "too few patients"])
def test_what_cannot_be_cross_fitted_has_no_heads(case: str) -> None:
    features = GENERATOR.normal(size=(N, 5)).astype(np.float32)
    labels, patients = np.zeros(N, np.float32), PATIENTS
    labels[:4] = 1  # all positives are one patient
    if case == "too few patients":
        patients, labels = np.array(["a", "b"]).repeat(N // 2), LABELS
    assert crossfit.fit(features, labels, patients, 0) is None


def test_the_folds_follow_the_seed() -> None:
    features = GENERATOR.normal(size=(N, 10)).astype(np.float32)
    first, again, other = (out_of_fold(features, LABELS, PATIENTS, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_heads_are_what_scored_the_images() -> None:
    features = (3 + 5 * GENERATOR.normal(size=(N, 10))).astype(np.float32)
    features[:, 0] += 4 * LABELS
    found = crossfit.fit(features, LABELS, PATIENTS, 1)
    assert found is not None
    for k, weight in enumerate(found.weight):  # the same but for the constant, in each fold
        constant = found.scores[found.fold == k] - features[found.fold == k] @ weight
        assert np.ptp(constant) < 1e-4
    for patient in np.unique(PATIENTS)[:20]:  # a patient's images share a fold
        assert len(np.unique(found.fold[patient == PATIENTS])) == 1

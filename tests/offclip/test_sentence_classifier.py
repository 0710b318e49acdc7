"""The classifier learns what is abnormal from study labels alone."""

import itertools

import numpy as np
import pytest

from offclip.sentence_classifier import SentenceClassifier, _noisy_or_posterior

NORMAL = [
    "The lungs are clear",
    "Heart size is normal",
    "No pneumothorax or pleural effusion",
    "The trachea is midline",
    "Osseous structures are intact",
    "PA and lateral views were obtained",
    "No acute disease",
]
# The last two words stand in no vocabulary: only the study labels show that they are abnormal.
ABNORMAL = ["Mild cardiomegaly", "Left pleural effusion", "Right upper lobe nodule", "Epicardial fat", "Nipple shadows"]


def weakly_labelled(studies: int = 300, seed: int = 0) -> tuple[list[list[str]], list[bool]]:
    """Studies of three to five sentences; an abnormal one has one or two abnormal sentences among normal ones."""
    random = np.random.default_rng(seed)
    reports, labels = [], []
    for number in range(studies):
        is_normal = number % 2 == 0
        report = random.choice(NORMAL, random.integers(3, 6), replace=False).tolist()
        if not is_normal:
            report[: random.integers(1, 3)] = random.choice(ABNORMAL, 1).tolist()
        reports.append(report)
        labels.append(is_normal)
    return reports, labels


@pytest.fixture(scope="module")
def fitted() -> SentenceClassifier:
    return SentenceClassifier().fit(*weakly_labelled())


def test_sentence_labels_are_recovered_from_study_labels(fitted: SentenceClassifier) -> None:
    assert (fitted.abnormal_probability(NORMAL) < 0.5).all()
    assert (fitted.abnormal_probability(ABNORMAL) > 0.5).all()


def test_unseen_wordings_follow_the_rules(fitted: SentenceClassifier) -> None:
    low, high = fitted.abnormal_probability(["There is no focal consolidation", "Large hiatal hernia"])
    assert low < 0.5 < high


def test_it_is_deterministic_and_independent_of_company(fitted: SentenceClassifier) -> None:
    again = SentenceClassifier().fit(*weakly_labelled())
    texts = NORMAL + ABNORMAL
    together = fitted.abnormal_probability(texts)
    assert together.dtype == np.float32
    np.testing.assert_array_equal(together, again.abnormal_probability(texts))
    np.testing.assert_allclose([fitted.abnormal_probability([text])[0] for text in texts], together, rtol=1e-6)
    assert fitted.abnormal_probability([]).shape == (0,)


def test_noisy_or_posterior_is_bayes_rule_by_enumeration() -> None:
    p = np.array([0.2, 0.7, 0.05, 0.4])
    bag = np.array([0, 0, 0, 1])
    for members in (np.flatnonzero(bag == 0), np.flatnonzero(bag == 1)):
        joint = {}
        for state in itertools.product([0, 1], repeat=len(members)):
            joint[state] = np.prod([q if z else 1 - q for q, z in zip(p[members], state, strict=True)])
        some = sum(value for state, value in joint.items() if any(state))
        for place, member in enumerate(members):
            expected = sum(value for state, value in joint.items() if state[place]) / some
            assert _noisy_or_posterior(p, bag)[member] == pytest.approx(expected)


def test_a_study_without_explanation_still_has_posteriors_in_range() -> None:
    posterior = _noisy_or_posterior(np.array([1e-12, 1e-12, 1.0]), np.array([0, 0, 1]))
    assert ((posterior >= 0) & (posterior <= 1)).all()
    assert posterior[2] == 1


@pytest.mark.parametrize(
    ("studies", "normal", "message"),
    [([["a"]], [True, False], "one label per study"), ([["Edema"], ["Mass"]], [False, False], "one class only")],
)
def test_input_that_cannot_teach_is_refused(studies: list[list[str]], normal: list[bool], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SentenceClassifier().fit(studies, normal)


def test_an_unfitted_classifier_says_so() -> None:
    with pytest.raises(ValueError, match="fit"):
        SentenceClassifier().abnormal_probability(["Edema"])

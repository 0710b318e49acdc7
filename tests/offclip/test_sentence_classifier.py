"""The classifier learns what is abnormal from study labels alone."""

import itertools
import json

import numpy as np
import pytest

from offclip.sentence_classifier import SentenceClassifier, _noisy_or_posterior
from tests.offclip.weak_labels import ABNORMAL, NORMAL, weakly_labelled


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


def test_what_was_learnt_survives_json_to_the_last_bit(fitted: SentenceClassifier) -> None:
    again = SentenceClassifier.from_state(json.loads(json.dumps(fitted.state())))
    texts = [*NORMAL, *ABNORMAL, "Large hiatal hernia", "Unheard of words", ""]
    np.testing.assert_array_equal(fitted.abnormal_probability(texts), again.abnormal_probability(texts))
    assert again.state() == fitted.state()


def test_numbers_that_do_not_belong_together_are_refused(fitted: SentenceClassifier) -> None:
    state = fitted.state()
    with pytest.raises(ValueError, match=rf"expected {len(state['terms'])} idf values"):
        SentenceClassifier.from_state(state | {"idf": state["idf"][1:]})


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
    with pytest.raises(ValueError, match="fit"):
        SentenceClassifier().state()

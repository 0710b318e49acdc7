"""Proportions with Wilson intervals, and the classifier scored against hand labels."""

import numpy as np
import pandas as pd
import pytest

from benchmark.captions.hand_labels import Drawn
from benchmark.captions.quality import alternatives, classifier_quality, filter_summary, prompting_summary, proportion
from offclip.sentence_classifier import SentenceClassifier
from offclip.sentences import sentence_hash

STUDIES = pd.DataFrame(
    {
        "sentences": [["The lungs are clear", "Heart size is normal"]] * 20
        + [["The lungs are clear", "Heart size is normal", "Stable cardiomegaly"]] * 60,
        "normal": [True] * 20 + [False] * 60,
    }
)
READ = {"the lungs are clear": True, "heart size is normal": True, "stable cardiomegaly": False, "two views": False}
LABELS = {sentence_hash(text): label for text, label in READ.items()}
DRAWN = [Drawn(text, "common", 10.0) for text in READ] + [Drawn("nobody read this", "once", 3.0)]


def wilson(hits: int, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson 1927, written out."""
    p = hits / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return centre - half, centre + half


@pytest.mark.parametrize(("hits", "n"), [(7, 10), (0, 12), (390, 400)])
def test_proportion_has_a_wilson_interval(hits: int, n: int) -> None:
    found = proportion(np.arange(n) < hits)
    assert found["estimate"] == hits / n
    assert (found["low"], found["high"]) == pytest.approx(wilson(hits, n))
    assert found["n"] == n


def test_nothing_to_count_is_no_number() -> None:
    assert proportion(np.zeros(0, dtype=bool)) == {"estimate": None, "low": None, "high": None, "n": 0}


@pytest.fixture(scope="module")
def measured() -> dict:
    classifier = SentenceClassifier().fit(STUDIES["sentences"].tolist(), STUDIES["normal"].tolist())
    return classifier_quality(classifier, 0.5, DRAWN, LABELS, trained_on={"the lungs are clear", "stable cardiomegaly"})


def test_errors_are_counted_where_they_fall(measured: dict) -> None:
    assert measured["labelled"] == {"committed": 4, "sentences": 4, "normal": 2, "abnormal": 2}
    assert measured["accuracy"]["estimate"] == 0.75  # "two views", called abnormal by the reader, reads normal
    assert measured["accuracy_unseen"] == {**measured["accuracy_unseen"], "estimate": 0.5, "n": 2}
    assert measured["sensitivity_abnormal"]["estimate"] == 0.5
    assert measured["specificity_normal"]["estimate"] == 1.0
    assert measured["normal_among_kept"]["estimate"] == 0.0
    assert measured["accuracy_occurrence_weighted"] == 0.75


def test_inherited_study_labels_call_common_normal_sentences_abnormal() -> None:
    compared = alternatives(STUDIES, DRAWN, LABELS)
    assert compared["rules"]["estimate"] == 0.75
    assert compared["study_label"]["estimate"] == 0.5  # three of four studies are abnormal: so is all they say


def test_the_filter_is_summed_up() -> None:
    sentences = pd.DataFrame(
        {
            "study_id": ["a", "a", "a", "b", "c"],
            "normal": [True, False, True, True, True],
            "prompted": ["", "There is edema.", "", "There is no edema.", "There is no mass."],
        }
    )
    studies = pd.DataFrame({"study_id": ["a", "b", "c"], "normal": [False, True, True]})
    weak = pd.Series([0, 1, 0, pd.NA], index=["a", "b", "c", "d"], dtype="Int8")
    summary = filter_summary(sentences, studies, weak)
    assert summary["removed"] == 2
    assert summary["removed_share_of_abnormal_studies"] == pytest.approx(2 / 3)
    assert summary["agreement_with_study_label"]["estimate"] == pytest.approx(2 / 3)
    assert summary["abnormal_label_called_normal"]["estimate"] == 0.5
    prompting = prompting_summary(sentences)
    assert prompting["sentences"]["estimate"] == pytest.approx(3 / 5)
    assert prompting["abnormal_sentences"]["estimate"] == 1.0

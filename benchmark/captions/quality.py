"""How good the sentence classifier is, measured on sentences that a person labelled, and what the filter removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from benchmark.captions.hand_labels import Drawn, label_of
from offclip.mentions import mentions, plain
from offclip.sentence_classifier import SentenceClassifier


def proportion(hits: NDArray[np.bool_]) -> dict[str, float | int | None]:
    """Share of True with its 95 % Wilson interval; None where there is nothing to count."""
    if not len(hits):
        return {"estimate": None, "low": None, "high": None, "n": 0}
    interval = binomtest(int(hits.sum()), len(hits)).proportion_ci(0.95, method="wilson")
    return {"estimate": float(hits.mean()), "low": float(interval.low), "high": float(interval.high), "n": len(hits)}


def alternatives(
    studies: pd.DataFrame, drawn: Sequence[Drawn], labels: Mapping[str, bool]
) -> dict[str, dict[str, float | int | None]]:
    """Accuracy of two simpler judges on the same sentences, which is why there is a third.

    ``rules``: abnormal where the negation rules find an affirmed finding. ``study_label``: every sentence inherits the
    label of its study, which teaches that "the lungs are clear" is abnormal wherever something else was found.

    Args:
        studies: training studies with columns sentences and normal.
        drawn: the sentences that were drawn for labelling.
        labels: sentence hash -> True where a person called it normal.
    """
    read = [sentence.text for sentence in drawn if label_of(sentence.text, labels) is not None]
    normal = np.array([label_of(text, labels) for text in read], dtype=bool)
    by_rules = np.array([any(not mention.denied for mention in mentions(text)) for text in read], dtype=bool)
    flat = studies.explode("sentences")
    inherit = make_pipeline(TfidfVectorizer(preprocessor=plain, ngram_range=(1, 3)), LogisticRegression(max_iter=1000))
    inherit.fit(flat["sentences"].tolist(), ~flat["normal"].astype(bool).to_numpy())
    return {
        "rules": proportion(by_rules != normal),
        "study_label": proportion(np.asarray(inherit.predict(read), dtype=bool) != normal),
    }


def classifier_quality(
    classifier: SentenceClassifier,
    threshold: float,
    drawn: Sequence[Drawn],
    labels: Mapping[str, bool],
    trained_on: set[str],
) -> dict[str, Any]:
    """Compare the classifier with the hand labels.

    Args:
        classifier: fitted on training-side studies.
        threshold: abnormal probability above which a sentence is abnormal.
        drawn: the sentences that were drawn for labelling.
        labels: sentence hash -> True where a person called it normal.
        trained_on: normalised sentences of the training studies; common phrases occur on both sides, so the sentences
            that the classifier never saw are scored apart as well.
    """
    read = [(sentence, label_of(sentence.text, labels)) for sentence in drawn]
    read = [(sentence, label) for sentence, label in read if label is not None]
    normal = np.array([label for _, label in read], dtype=bool)
    weight = np.array([sentence.weight for sentence, _ in read])
    unseen = np.array([sentence.text not in trained_on for sentence, _ in read], dtype=bool)
    stratum = np.array([sentence.stratum for sentence, _ in read])
    abnormal = classifier.abnormal_probability([sentence.text for sentence, _ in read]) > threshold
    right = abnormal != normal
    return {
        "labelled": {
            "committed": len(labels),
            "sentences": len(read),
            "normal": int(normal.sum()),
            "abnormal": int((~normal).sum()),
        },
        "accuracy": proportion(right),
        "accuracy_unseen": proportion(right[unseen]),
        "accuracy_by_stratum": {name: proportion(right[stratum == name]) for name in dict.fromkeys(stratum.tolist())},
        "accuracy_occurrence_weighted": float(np.average(right, weights=weight)) if len(read) else None,
        "sensitivity_abnormal": proportion(abnormal[~normal]),
        "specificity_normal": proportion(~abnormal[normal]),
        "normal_among_kept": proportion(normal[abnormal]),
        "normal_among_kept_occurrence_weighted": (
            float(np.average(normal[abnormal], weights=weight[abnormal])) if abnormal.any() else None
        ),
    }


def filter_summary(sentences: pd.DataFrame, studies: pd.DataFrame, weak_normal: pd.Series) -> dict[str, Any]:
    """Counts of what the filter kept and removed, and how its verdict agrees with the studies' own labels.

    Args:
        sentences: sentences.parquet.
        studies: studies.parquet.
        weak_normal: study_id -> 1 normal, 0 abnormal, NA unknown (the index's ``normal``).
    """
    pair_normal = studies.set_index("study_id")["normal"]
    in_abnormal = ~sentences["study_id"].map(pair_normal).astype(bool)
    removed = in_abnormal & sentences["normal"]
    known = weak_normal.reindex(pair_normal.index).dropna().astype(bool)
    verdict = pair_normal[known.index].to_numpy(dtype=bool)
    label = known.to_numpy(dtype=bool)
    return {
        "studies": len(studies),
        "normal_studies": int(pair_normal.sum()),
        "sentences": len(sentences),
        "sentences_of_abnormal_studies": int(in_abnormal.sum()),
        "removed": int(removed.sum()),
        "removed_share_of_abnormal_studies": float(removed.sum() / max(in_abnormal.sum(), 1)),
        "agreement_with_study_label": proportion(verdict == label),
        "normal_label_called_abnormal": proportion(~verdict[label]),
        "abnormal_label_called_normal": proportion(verdict[~label]),
    }


def prompting_summary(sentences: pd.DataFrame) -> dict[str, Any]:
    """How many sentences have a prompted form, apart for normal and abnormal ones."""
    has = (sentences["prompted"] != "").to_numpy(dtype=bool)
    normal = sentences["normal"].to_numpy(dtype=bool)
    return {
        "sentences": proportion(has),
        "normal_sentences": proportion(has[normal]),
        "abnormal_sentences": proportion(has[~normal]),
    }

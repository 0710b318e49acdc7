"""Reports in, captions and pair labels out: the pipeline is its parts in a row, and is saved to the last bit."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from offclip import CaptionPipeline, Prompted, SentenceClassifier, StudyCaptions, captions
from offclip.prompting import prompt_report
from offclip.study_captions import Dropped
from tests.offclip.weak_labels import weakly_labelled


def report(sentences: Sequence[str]) -> str:
    return "INDICATION: Chest pain.\nFINDINGS: " + ". ".join(sentences) + "."


STUDIES, LABELS = weakly_labelled()
REPORTS = [report(sentences) for sentences in STUDIES]
MIXED = "FINDINGS: The lungs are clear. Mild cardiomegaly without pleural effusion. IMPRESSION: No pneumothorax."


@pytest.fixture(scope="module")
def pipeline() -> CaptionPipeline:
    return CaptionPipeline().fit(REPORTS, LABELS)


def test_it_is_its_parts_in_a_row(pipeline: CaptionPipeline) -> None:
    distinct = list(dict.fromkeys(map(tuple, STUDIES)))
    label = dict(zip(map(tuple, STUDIES), LABELS, strict=True))
    classifier = SentenceClassifier().fit(distinct, [label[sentences] for sentences in distinct])
    for sentences, study in zip(STUDIES, pipeline(REPORTS), strict=True):
        probability = classifier.abnormal_probability(sentences)
        np.testing.assert_array_equal([sentence.abnormal_probability for sentence in study.sentences], probability)
        assert study.raw == tuple(sentences)
        assert [sentence.prompted for sentence in study.sentences] == prompt_report(sentences)
        abnormal = [text for text, p in zip(sentences, probability, strict=True) if p > 0.5]
        assert study.is_normal == (not abnormal)
        assert study.filtered == tuple(abnormal or sentences)


def test_the_labels_of_the_studies_are_recovered(pipeline: CaptionPipeline) -> None:
    assert [study.is_normal for study in pipeline(REPORTS)] == LABELS


def test_what_was_dropped_is_told_with_its_reason(pipeline: CaptionPipeline) -> None:
    (study,) = pipeline([MIXED])
    assert study.is_normal is False
    assert study.filtered == ("Mild cardiomegaly without pleural effusion",)
    assert "There is no pleural effusion." in study.prompted
    assert study.filtered_prompted
    assert all(clause.startswith("There is ") and " no " not in clause for clause in study.filtered_prompted)
    assert study.dropped == (
        Dropped("The lungs are clear", "normal sentence of an abnormal report"),
        Dropped("There is no pleural effusion.", "denial in an abnormal report"),
        Dropped("No pneumothorax", "normal sentence of an abnormal report"),
    )


@pytest.mark.parametrize("text", [*REPORTS[:20], MIXED])
def test_every_text_is_kept_or_dropped_once(pipeline: CaptionPipeline, text: str) -> None:
    (study,) = pipeline([text])
    sentences = [d.text for d in study.dropped if d.reason == "normal sentence of an abnormal report"]
    single = [d.text for d in study.dropped if d.reason != "normal sentence of an abnormal report"]
    assert sorted([*study.filtered, *sentences]) == sorted(study.raw)
    with_sentences = [s.prompted for s in study.sentences if s.text in sentences]
    assert sorted([*study.filtered_prompted, *single]) == sorted(
        clause for clause in study.prompted if not any(clause in prompted for prompted in with_sentences)
    )


def test_an_iterable_without_end_is_read_as_far_as_it_is_asked_for(
    pipeline: CaptionPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captions, "AT_ONCE", 3)

    def endless() -> Iterator[str]:
        while True:
            yield from REPORTS

    stream = pipeline(endless())
    few = [next(stream) for _ in range(10)]
    monkeypatch.undo()
    assert few == list(pipeline(REPORTS[:10]))  # and company changes no number


def test_a_report_without_a_sentence_has_no_caption_and_no_label(pipeline: CaptionPipeline) -> None:
    empty, full = pipeline(["", REPORTS[0]])
    assert empty == StudyCaptions((), None)
    assert (empty.raw, empty.prompted, empty.filtered, empty.filtered_prompted, empty.dropped) == ((),) * 5
    assert full.raw


def test_saved_and_loaded_it_gives_the_same_numbers(pipeline: CaptionPipeline, tmp_path: Path) -> None:
    path = tmp_path / "captions.json"
    pipeline.save(path)
    assert json.loads(path.read_text())["threshold"] == 0.5  # plain JSON
    assert list(CaptionPipeline.load(path)([*REPORTS, MIXED])) == list(pipeline([*REPORTS, MIXED]))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("unknown", [None, math.nan, pd.NA, np.float32("nan")])
def test_studies_of_unknown_label_teach_nothing(pipeline: CaptionPipeline, unknown: Any) -> None:
    more = CaptionPipeline().fit([*REPORTS, MIXED], [*LABELS, unknown])
    assert list(more([MIXED])) == list(pipeline([MIXED]))


def test_equal_reports_teach_once_and_at_most_so_many_teach() -> None:
    pipeline = CaptionPipeline(most_studies=50)
    chosen = pipeline.learning_set([*STUDIES, *STUDIES, []], [*LABELS, *LABELS, True])
    assert len(chosen) == 50
    assert chosen == sorted(set(chosen))
    assert len({tuple((STUDIES * 2)[row]) for row in chosen}) == 50
    assert chosen == pipeline.learning_set(STUDIES, LABELS)
    assert chosen != CaptionPipeline(most_studies=50, seed=1).learning_set(STUDIES, LABELS)


def test_the_threshold_decides(pipeline: CaptionPipeline) -> None:
    strict = CaptionPipeline(pipeline.classifier, threshold=1e-6)
    assert not any(study.is_normal for study in strict(REPORTS))


def test_clauses_of_a_language_model_are_judged_on_their_own(pipeline: CaptionPipeline) -> None:
    form = Prompted(["", ""], ["There is left pleural effusion.", "There is no pneumothorax."])
    own = CaptionPipeline(pipeline.classifier, prompter=lambda sentences: form)
    (study,) = own([report(["The lungs are clear", "Heart size is normal"])])
    assert study.is_normal is False
    assert study.raw == ("The lungs are clear", "Heart size is normal")
    assert study.filtered == ()
    assert study.filtered_prompted == ("There is left pleural effusion.",)
    assert [dropped.text for dropped in study.dropped] == [*study.raw, "There is no pneumothorax."]


def damaged(tmp_path: Path, content: str) -> CaptionPipeline:
    (tmp_path / "captions.json").write_text(content)
    return CaptionPipeline.load(tmp_path / "captions.json")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda folder: CaptionPipeline(threshold=1.0), r"threshold must lie between 0 and 1, found 1\.0"),
        (lambda folder: CaptionPipeline(most_studies=1), "most_studies must be 2 or more"),
        (lambda folder: CaptionPipeline().fit(REPORTS, LABELS[1:]), "300 reports and 299 labels"),
        (lambda folder: CaptionPipeline().fit(REPORTS, [True] * 300), "one class only"),
        (lambda folder: CaptionPipeline().fit(REPORTS, [2, *LABELS[1:]]), "label 0: expected True .normal.*found 2"),
        (lambda folder: CaptionPipeline().fit(MIXED, LABELS), "expected an iterable of reports, found one text"),
        (lambda folder: list(CaptionPipeline()([MIXED, None])), "report 1: expected text, found NoneType"),
        (lambda folder: list(CaptionPipeline()([MIXED])), "Expected a fitted sentence classifier"),
        (
            lambda folder: list(CaptionPipeline(prompter=lambda sentences: Prompted([]))([MIXED])),
            "one prompted text per sentence, found 0 for 3",
        ),
        (lambda folder: CaptionPipeline().save(folder / "x.json"), "Expected a fitted sentence classifier"),
        (lambda folder: damaged(folder, "no JSON"), r"captions\.json: expected offclip-captions 1"),
        (lambda folder: damaged(folder, "[]"), r"captions\.json: expected offclip-captions 1"),
        (lambda folder: damaged(folder, '{"format": "x", "version": 1}'), "but it is x 1; save it again"),
        (lambda folder: damaged(folder, '{"format": "offclip-captions"}'), "lacks 'version'"),
        (
            lambda folder: damaged(
                folder, '{"format": "offclip-captions", "version": 1, "threshold": 0.5, "classifier": {}}'
            ),
            "lacks 'terms'",
        ),
    ],
)
def test_wrong_input_is_refused_with_a_sentence(tmp_path: Path, wrong: Callable[[Path], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        wrong(tmp_path)

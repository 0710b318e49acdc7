"""Reports in, captions and pair labels out: the text side of OFF-CLIP in one class, for any iterable of reports.

    pipeline = CaptionPipeline().fit(reports, normal)       # the study labels that you have; seconds
    for study in pipeline(reports):
        study.filtered, study.is_normal                     # what the text tower reads, and the pair's label
    pipeline.save("captions.json")

Report -> sentences (sentences.py) -> prompted form (prompting.py) -> normal or abnormal (sentence_classifier.py) ->
filter and pair label (text_filter.py). Needs scikit-learn for the classifier, and no harness.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from offclip.prompting import Prompted, prompt_by_rules
from offclip.sentence_classifier import SentenceClassifier
from offclip.sentences import report_sentences
from offclip.study_captions import Sentence, StudyCaptions
from offclip.text_filter import filter_report

Prompter = Callable[[Sequence[str]], Prompted]
"""The sentences of one report -> its prompted form."""
Item = TypeVar("Item")
FORMAT, VERSION = "offclip-captions", 1
AT_ONCE = 4096
"""Reports that are judged together: one call of the classifier instead of thousands, and little memory."""


class CaptionPipeline:
    """Captions and pair labels of reports, by a sentence classifier that learns from study labels alone."""

    def __init__(
        self,
        classifier: SentenceClassifier | None = None,
        *,
        threshold: float = 0.5,
        prompter: Prompter = prompt_by_rules,
        most_studies: int = 20_000,
        seed: int = 7,
    ) -> None:
        """Set up; nothing is learnt yet.

        Args:
            classifier: a fitted one, or None for one that `fit` makes.
            threshold: abnormal probability above which a sentence is abnormal, between 0 and 1.
            prompter: gives a report's sentences their prompted form; rules, unless you bring another.
            most_studies: the classifier learns from at most so many studies: more change nothing and cost minutes.
            seed: chooses those studies where there are more.

        Raises:
            ValueError: a threshold outside (0, 1), or fewer than two studies.
        """
        if not 0 < threshold < 1:
            raise ValueError(f"threshold must lie between 0 and 1, found {threshold}.")
        if most_studies < 2:
            raise ValueError(f"most_studies must be 2 or more, one normal and one abnormal, found {most_studies}.")
        self.classifier = SentenceClassifier() if classifier is None else classifier
        self.threshold = threshold
        self.prompter = prompter
        self.most_studies = most_studies
        self.seed = seed

    def fit(self, reports: Iterable[str], normal: Iterable[Any]) -> CaptionPipeline:
        """Learn what an abnormal sentence is from reports and the labels of their studies.

        Args:
            reports: the whole text of each report.
            normal: for each, True or 1 (normal), False or 0 (abnormal), None or NaN (unknown: not learnt from).

        Raises:
            ValueError: a report that is no text, another label, as many labels as there are not reports, one class.
        """
        return self.fit_sentences([report_sentences(report) for report in _texts(reports)], list(normal))

    def fit_sentences(self, studies: Sequence[Sequence[str]], normal: Sequence[Any]) -> CaptionPipeline:
        """`fit`, from reports that are split into sentences already."""
        chosen = self.learning_set(studies, normal)
        self.classifier.fit([studies[row] for row in chosen], [bool(normal[row]) for row in chosen])
        return self

    def learning_set(self, studies: Sequence[Sequence[str]], normal: Sequence[Any]) -> list[int]:
        """Positions of the studies that `fit_sentences` learns from: labelled, with a sentence, at most so many.

        A report that several studies share counts once: it says nothing new, and its weight would alter the
        regularisation.
        """
        if len(studies) != len(normal):
            raise ValueError(f"expected one label per report, found {len(studies)} reports and {len(normal)} labels.")
        first: dict[tuple[str, ...], int] = {}
        for row, (sentences, label) in enumerate(zip(studies, normal, strict=True)):
            if _is_known(label, row) and sentences:
                first.setdefault(tuple(sentences), row)
        rows = list(first.values())
        if len(rows) > self.most_studies:
            import numpy as np

            drawn = np.random.default_rng(self.seed).choice(len(rows), self.most_studies, replace=False)
            rows = [rows[place] for place in np.sort(drawn)]
        return rows

    def __call__(self, reports: Iterable[str]) -> Iterator[StudyCaptions]:
        """The captions of each report, in order and one by one: an iterable of any length will do.

        Raises:
            ValueError: a report that is no text, or a classifier that was not fitted.
        """
        split = (report_sentences(report) for report in _texts(reports))
        for some in _chunks(split):
            yield from self.judge(some, map(self.prompter, some))

    def judge(self, studies: Iterable[Sequence[str]], prompted: Iterable[Prompted]) -> Iterator[StudyCaptions]:
        """`__call__`, from sentences and their prompted form.

        Args:
            studies: the sentences of each report.
            prompted: the prompted form of each, in the same order.

        Raises:
            ValueError: one is longer than the other, or a report has another number of prompted texts than sentences.
        """
        for some in _chunks(zip(studies, prompted, strict=True)):
            texts = [_texts_of(sentences, form) for sentences, form in some]
            judged = [text or prompt for pairs in texts for text, prompt in pairs]
            probability = self.classifier.abnormal_probability(judged)
            verdicts = zip(probability.tolist(), (probability <= self.threshold).tolist(), strict=True)
            for pairs in texts:
                sentences = tuple(
                    Sentence(text, prompt, *verdict) for (text, prompt), verdict in zip(pairs, verdicts, strict=False)
                )
                abnormal = [not sentence.normal for sentence in sentences]
                yield StudyCaptions(sentences, filter_report(abnormal).normal if abnormal else None)

    def save(self, path: str | Path) -> None:
        """Write threshold and classifier as JSON (the prompter is code, and is not saved).

        The file holds phrases of up to three words that occur at least twice in the reports: treat it as the reports.
        """
        state = {
            "format": FORMAT,
            "version": VERSION,
            "threshold": self.threshold,
            "classifier": self.classifier.state(),
        }
        path = Path(path)
        part = path.with_name(f".{path.name}.part")
        part.write_text(json.dumps(state), encoding="utf-8")
        os.replace(part, path)

    @classmethod
    def load(cls, path: str | Path, *, prompter: Prompter = prompt_by_rules) -> CaptionPipeline:
        """Read what `save` wrote; it gives the very same numbers.

        Raises:
            ValueError: the file is none of its kind.
        """
        try:
            state = json.loads(Path(path).read_text(encoding="utf-8"))
            if (state["format"], state["version"]) != (FORMAT, VERSION):
                raise ValueError(f"it is {state['format']} {state['version']}")
            return cls(
                SentenceClassifier.from_state(state["classifier"]), threshold=state["threshold"], prompter=prompter
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            found = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ValueError(
                f"{path}: expected {FORMAT} {VERSION} as CaptionPipeline.save writes it, but {found}; save it again."
            ) from None


def _texts(reports: Iterable[str]) -> Iterator[str]:
    if isinstance(reports, str):
        raise ValueError("expected an iterable of reports, found one text; put it into a list.")
    for row, report in enumerate(reports):
        if not isinstance(report, str):
            raise ValueError(
                f'report {row}: expected text, found {type(report).__name__}; give "" for a study without a report.'
            )
        yield report


def _is_known(label: Any, row: int) -> bool:
    """Whether a study's label is known; an error where it is neither 0, 1 nor missing."""
    try:
        if label is None or label != label:
            return False
    except TypeError:  # pandas.NA has no truth value
        return False
    if label not in (0, 1):
        raise ValueError(f"label {row}: expected True (normal), False (abnormal) or None (unknown), found {label!r}.")
    return True


def _texts_of(sentences: Sequence[str], form: Prompted) -> list[tuple[str, str]]:
    """(dictated, prompted) of each sentence, then ("", clause) of each that belongs to the report as a whole."""
    if len(form.by_sentence) != len(sentences):
        raise ValueError(
            f"expected one prompted text per sentence, found {len(form.by_sentence)} for {len(sentences)} sentences; "
            'give "" where there is none.'
        )
    return [*zip(sentences, form.by_sentence, strict=True), *(("", clause) for clause in form.free)]


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, AT_ONCE)):
        yield chunk

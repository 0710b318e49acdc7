"""The sentences that a person read: hashes and labels only, drawn without the classifier."""

import re
from collections import Counter
from importlib.resources import files

import pytest

from benchmark.captions.hand_labels import STRATA, draw, evaluation_sentences, label_of, read_labels
from benchmark.materials import contents, partition
from benchmark.materials.open_i_report import OpenIReport
from benchmark.pipeline import layout
from offclip.sentences import sentence_hash
from tests.repository import REPOSITORY

MATERIALS = REPOSITORY / layout.MATERIALS


@pytest.mark.skipif(not (MATERIALS / "materials.json").exists(), reason="the public material has not been fetched")
def test_every_label_belongs_to_a_sentence_of_the_draw() -> None:
    drawn = draw(evaluation_sentences(contents.open_i_reports(MATERIALS)))
    assert {sentence_hash(sentence.text) for sentence in drawn} == set(read_labels())


def report(uid: int, text: str) -> OpenIReport:
    return OpenIReport(str(uid), text, "", "", "", ("normal",), (), ())


def test_the_committed_file_holds_hashes_and_labels_only() -> None:
    lines = files("benchmark.captions").joinpath("hand_labels.csv").read_text().splitlines()
    assert lines[0] == "sha256,normal"
    assert all(re.fullmatch(r"[0-9a-f]{64},[01]", line) for line in lines[1:])
    assert len(read_labels()) == len(lines) - 1 >= 320
    assert 0.3 < sum(read_labels().values()) / len(read_labels()) < 0.7


def test_labels_are_found_by_the_words_of_a_sentence() -> None:
    labels = read_labels()
    assert label_of("Cardiomegaly.", labels) is False
    assert label_of("No pleural   effusion", labels) is True
    assert label_of("a sentence that nobody dictated", labels) is None


def test_only_reports_that_never_train_are_read() -> None:
    reports = [report(number, f"Sentence number {number} of a report.") for number in range(60)]
    evaluation = [r for r in reports if partition.side(r.text) == "evaluation"]
    assert 0 < len(evaluation) < len(reports)
    assert set(evaluation_sentences(reports)) == {f"sentence number {r.uid} of a report" for r in evaluation}


def test_the_draw_is_stratified_seeded_and_weighted_back_to_occurrences() -> None:
    counts = Counter({f"rare {number}": 1 for number in range(1000)})
    counts.update({f"few {number}": 3 for number in range(200)})
    counts.update({f"common {number}": 10 for number in range(20)})
    drawn = draw(counts)
    assert drawn == draw(Counter(dict(reversed(counts.items()))))
    assert Counter(sentence.stratum for sentence in drawn) == {
        "once": STRATA["once"][2],
        "few": STRATA["few"][2],
        "common": 20,
    }
    for stratum, occurrences in (("once", 1000), ("few", 600), ("common", 200)):
        assert sum(s.weight for s in drawn if s.stratum == stratum) == pytest.approx(occurrences)

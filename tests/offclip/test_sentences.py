"""Reports as radiologists dictate them, and the published cleaning (shared/parity/text_cleaning.json)."""

import json

import pytest

from offclip.sentences import (
    normalise,
    published_cleaning,
    report_body,
    sentence_hash,
    split_sentences,
)
from tests import parity


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Heart size is normal. No pneumothorax.", ["Heart size is normal", "No pneumothorax"]),
        ("There is a 3.5 cm mass. Stable.", ["There is a 3.5 cm mass", "Stable"]),
        ("A mass measures 4.5 x 6.8 cm, stable", ["A mass measures 4.5 x 6.8 cm, stable"]),
        ("1. Cardiomegaly. 2. Small effusion.", ["Cardiomegaly", "Small effusion"]),
        ("1) Cardiomegaly.\n2) Small effusion.", ["Cardiomegaly", "Small effusion"]),
        ("- Cardiomegaly.\n- Small effusion.", ["Cardiomegaly", "Small effusion"]),
        ("1. Scarring in the base 2. Hiatal hernia", ["Scarring in the base", "Hiatal hernia"]),
        ("There is a fracture of rib 8. No pneumothorax.", ["There is a fracture of rib 8", "No pneumothorax"]),
        ("Discussed with Dr. Li at 10:30 a.m. by phone.", ["Discussed with Dr. Li at 10:30 a.m. by phone"]),
        ("Atelectasis vs. pneumonia.", ["Atelectasis vs. pneumonia"]),
        ("Is there an effusion? No. Clear lungs.", ["Is there an effusion", "Clear lungs"]),
        ("Lungs clear.Heart normal..", ["Lungs clear", "Heart normal"]),
        ("There is no\nfocal consolidation.", ["There is no focal consolidation"]),
        ("XXXX XXXX. XXXX are normal.", ["XXXX are normal"]),
        (". .. 3.", []),
        ("", []),
    ],
)
def test_sentences_of_dictated_text(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


def test_only_findings_and_impression_describe_the_image() -> None:
    report = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  Woman with cough, evaluate for pneumonia.

 TECHNIQUE:  Chest PA and lateral.

 FINDINGS:

 There is no focal
 consolidation.

 IMPRESSION:

 No acute process.
"""
    assert split_sentences(report_body(report)) == ["There is no focal consolidation", "No acute process"]


def test_a_report_without_findings_heading_keeps_its_free_text() -> None:
    report = "HISTORY: Fall.\n\nFINAL REPORT:\nThe heart is enlarged.\n\nCOMPARISON: None."
    assert split_sentences(report_body(report)) == ["The heart is enlarged"]
    assert report_body("The heart is enlarged.") == "The heart is enlarged."


def test_other_headings_in_capitals_describe_the_image() -> None:
    report = "INDICATION: Cough.\n\nPA AND LATERAL VIEWS OF THE CHEST: Clear lungs.\n\nIMPRESSION: Normal chest."
    assert split_sentences(report_body(report)) == ["Clear lungs", "Normal chest"]


def test_a_paragraph_after_the_comparison_describes_the_image() -> None:
    report = " COMPARISON:\n \n Chest radiograph of ___.\n \n The lungs are clear.\n \n IMPRESSION: Normal chest."
    assert split_sentences(report_body(report)) == ["The lungs are clear", "Normal chest"]


def test_the_body_of_a_body_is_itself() -> None:
    body = report_body("INDICATION: Cough.\n\nFINDINGS: Clear lungs. 1.5 cm nodule.\n\nRECOMMENDATION(S): CT.")
    assert report_body(body) == body == "Clear lungs. 1.5 cm nodule."


def test_lower_case_words_are_no_headings_inside_a_line() -> None:
    text = "FINDINGS: Given the history: sarcoid is likely. IMPRESSION: Sarcoid."
    assert split_sentences(report_body(text)) == ["Given the history: sarcoid is likely", "Sarcoid"]


def test_the_hash_names_the_words_not_the_layout() -> None:
    assert normalise("The  heart,\nis ENLARGED.") == "the heart is enlarged"
    assert sentence_hash("The heart is enlarged") == sentence_hash("the heart is enlarged.")
    assert normalise("A 3.5 cm mass") != normalise("A 35 cm mass")


@parity.needs_parity
def test_published_cleaning_matches_the_release() -> None:
    cases = json.loads((parity.FOLDER / "text_cleaning.json").read_text(encoding="utf-8"))["cases"]
    assert len(cases) >= 10
    assert [published_cleaning(case["text"]) for case in cases] == [case["cleaned"] for case in cases]


def test_published_cleaning_keeps_its_quirks() -> None:
    assert published_cleaning("COPD") == ""
    assert published_cleaning("A mass of 3.5 cm") == "a mass of 5 cm"
    assert published_cleaning("There is Nodule/Mass. Edema.") == "there is nodule mass"

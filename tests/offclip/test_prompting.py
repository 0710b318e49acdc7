"""A dictated sentence in the form of the zero-shot prompts."""

import pytest

from offclip.prompting import clauses, is_denial, prompt_report, prompt_sentence


@pytest.mark.parametrize(
    ("sentence", "prompted"),
    [
        ("Mild cardiomegaly without effusion", "There is cardiomegaly. There is no pleural effusion."),
        ("Left basilar atelectasis", "There is atelectasis at the left lung base."),
        ("No pneumothorax or effusion", "There is no pneumothorax. There is no pleural effusion."),
        ("Heart size normal", "There is no cardiomegaly."),
        ("Normal chest", "There is no finding."),
        ("Comparison with prior films", ""),
    ],
)
def test_prompted_form(sentence: str, prompted: str) -> None:
    assert prompt_sentence(sentence) == prompted


def test_no_acute_disease_means_no_finding_only_where_the_report_affirms_nothing() -> None:
    normal = prompt_report(["The lungs are clear", "No acute cardiopulmonary disease"])
    assert normal == ["There is no lung opacity.", "There is no finding."]
    abnormal = prompt_report(["Stable cardiomegaly", "No acute cardiopulmonary disease"])
    assert abnormal == ["There is cardiomegaly.", "There is no acute finding."]


def test_one_text_per_sentence() -> None:
    assert prompt_report([]) == []
    assert prompt_report(["Thanks", "Edema"]) == ["", "There is pulmonary edema."]


def test_clauses_and_their_polarity() -> None:
    parts = clauses("There is edema. There is no pneumothorax on the left.")
    assert parts == ["There is edema.", "There is no pneumothorax on the left."]
    assert [is_denial(part) for part in parts] == [False, True]
    assert clauses("There is a 3.5 cm mass. ") == ["There is a 3.5 cm mass."]
    assert clauses("") == []

"""A dictated sentence in the form of the zero-shot prompts."""

import pytest

from offclip.findings import BROADER, FINDINGS
from offclip.prompting import clauses, is_denial, prompt_report, prompt_sentence


@pytest.mark.parametrize(
    ("sentence", "prompted"),
    [
        ("Mild scoliosis without effusion", "There is scoliosis. There is no pleural effusion."),
        ("Left pneumothorax", "There is pneumothorax on the left."),
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
    assert abnormal == ["There is cardiomegaly. There is enlarged cardiomediastinum.", "There is no acute finding."]


@pytest.mark.parametrize(
    ("sentence", "prompted"),
    [
        (
            "Left basilar atelectasis",
            "There is atelectasis at the left lung base. There is lung opacity at the left lung base.",
        ),
        ("Calcified granuloma", "There is calcified granuloma. There is lung lesion."),
        ("Mass", "There is pulmonary mass. There is lung lesion."),  # the nearest label only, not lung opacity as well
        ("Pacemaker", "There is support devices."),  # the canonical name is the label
    ],
)
def test_an_affirmed_finding_is_also_stated_under_its_nearest_broader_label(sentence: str, prompted: str) -> None:
    assert prompt_sentence(sentence) == prompted


@pytest.mark.parametrize("finding", BROADER)
def test_denials_never_generalise(finding: str) -> None:
    assert prompt_sentence(f"No {finding}") == f"There is no {finding}."


def test_a_broader_label_never_contradicts_the_report() -> None:
    assert prompt_report(["Mild cardiomegaly", "Mediastinum is normal", "Atelectasis, otherwise clear lungs"]) == [
        "There is cardiomegaly.",
        "There is no enlarged cardiomediastinum.",
        "There is atelectasis. There is no lung opacity.",
    ]


def test_a_broader_clause_is_stated_once_a_report_and_outweighs_none_of_its_findings() -> None:
    assert prompt_report(["Edema and atelectasis", "Pneumonia", "Right pneumonia"]) == [
        "There is pulmonary edema. There is lung opacity. There is atelectasis.",
        "There is pneumonia.",
        "There is pneumonia on the right. There is lung opacity on the right.",
    ]
    assert prompt_report(["Edema", "Opacities"]) == ["There is pulmonary edema.", "There is lung opacity."]


def test_every_broader_label_belongs_to_a_known_finding() -> None:
    assert set(BROADER) <= set(FINDINGS)
    assert not any(BROADER.get(label) == finding for finding, label in BROADER.items())


def test_one_text_per_sentence() -> None:
    assert prompt_report([]) == []
    assert prompt_report(["Thanks", "Scoliosis"]) == ["", "There is scoliosis."]


def test_clauses_and_their_polarity() -> None:
    parts = clauses("There is edema. There is no pneumothorax on the left.")
    assert parts == ["There is edema.", "There is no pneumothorax on the left."]
    assert [is_denial(part) for part in parts] == [False, True]
    assert clauses("There is a 3.5 cm mass. ") == ["There is a 3.5 cm mass."]
    assert clauses("") == []

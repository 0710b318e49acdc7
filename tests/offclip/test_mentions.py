"""Findings, negation scopes and places, read as a radiologist would."""

import pytest

from offclip.findings import FINDINGS
from offclip.mentions import mentions, place


def affirmed(sentence: str) -> set[str]:
    return {mention.finding for mention in mentions(sentence) if not mention.denied}


def denied(sentence: str) -> set[str]:
    return {mention.finding for mention in mentions(sentence) if mention.denied}


@pytest.mark.parametrize(
    ("sentence", "finding"),
    [
        ("The heart is mildly enlarged", "cardiomegaly"),
        ("Stable enlargement of the cardiac silhouette", "cardiomegaly"),
        ("Borderline heart size", "cardiomegaly"),
        ("Small bilateral effusions", "pleural effusion"),
        ("Small pericardial effusion", "pericardial effusion"),
        ("Subsegmental atelectatic changes", "atelectasis"),
        ("Patchy airspace disease", "lung opacity"),
        ("Airspace consolidation is seen", "consolidation"),
        ("A 7 mm calcified nodule", "calcified granuloma"),
        ("A 7 mm nodule", "lung nodule"),
        ("Left lower lobe mass", "pulmonary mass"),
        ("Apical capping", "pleural thickening"),
        ("The thoracic aorta is tortuous", "tortuous aorta"),
        ("Ectatic aorta", "aortic enlargement"),
        ("Aortic valve replacement", "support devices"),
        ("Dual-lumen catheter tip in the right atrium", "support devices"),
        ("Thoracic spondylosis", "degenerative changes"),
        ("Dextro-scoliosis", "scoliosis"),
        ("Hyper-expanded lungs", "hyperinflation"),
        ("Low lung volumes", "low lung volumes"),
        ("Healed rib fractures", "bone fracture"),
        ("Diffuse osteopenia", "osteopenia"),
        ("Subcutaneous emphysema of the neck", "subcutaneous emphysema"),
        ("Emphysematous changes", "pulmonary emphysema"),
    ],
)
def test_synonyms_lead_to_one_name(sentence: str, finding: str) -> None:
    assert finding in FINDINGS
    assert affirmed(sentence) == {finding}


@pytest.mark.parametrize(
    ("sentence", "findings"),
    [
        ("No pleural effusion, pneumothorax, or consolidation", {"pleural effusion", "pneumothorax", "consolidation"}),
        ("There is no evidence of pneumonia", {"pneumonia"}),
        ("Negative for pneumothorax", {"pneumothorax"}),
        ("The heart is not enlarged", {"cardiomegaly"}),
        ("Pneumothorax is not identified", {"pneumothorax"}),
        ("The right pleural effusion has resolved", {"pleural effusion"}),
        ("Heart size is within normal limits", {"cardiomegaly"}),
        ("The lungs are clear", {"lung opacity"}),
        ("Trachea is midline", {"mediastinal shift"}),
        ("No acute cardiopulmonary abnormality", {"acute finding"}),
        ("No acute or active cardiac, pulmonary or pleural disease", {"acute finding"}),
        ("Normal chest radiograph", {"finding"}),
        ("Bony structures are intact without acute abnormality", {"bone fracture", "bone abnormality"}),
        ("No focal opacity to suggest pneumonia", {"lung opacity", "pneumonia"}),
    ],
)
def test_denials(sentence: str, findings: set[str]) -> None:
    assert denied(sentence) == findings
    assert not affirmed(sentence)


@pytest.mark.parametrize(
    ("sentence", "yes", "no"),
    [
        ("Mild cardiomegaly without effusion", {"cardiomegaly"}, {"pleural effusion"}),
        ("No pneumothorax, but a small effusion", {"pleural effusion"}, {"pneumothorax"}),
        ("No change in the right pneumothorax", {"pneumothorax"}, set()),
        ("Pneumonia cannot be excluded", {"pneumonia"}, set()),
        ("No acute fracture; old rib fractures", {"bone fracture"}, set()),
        ("Opacity may represent atelectasis or pneumonia", {"lung opacity", "atelectasis", "pneumonia"}, set()),
        ("CT to exclude pneumonia", set(), set()),
        ("Two views of the chest", set(), set()),
        ("No findings to suggest edema", set(), {"pulmonary edema"}),
    ],
)
def test_scopes_end_where_the_meaning_does(sentence: str, yes: set[str], no: set[str]) -> None:
    assert affirmed(sentence) == yes
    assert denied(sentence) == no


@pytest.mark.parametrize(
    ("sentence", "where"),
    [
        ("Left pleural effusion", "on the left"),
        ("Bilateral effusions", "on both sides"),
        ("Bibasilar atelectasis", "at both lung bases"),
        ("Opacity in the right upper lobe", "in the right upper lobe"),
        ("Nodule in the left mid-lung", "in the left mid lung"),
        ("Consolidation in the lingula", "in the lingula"),
        ("Scarring at the apices bilaterally", "at both lung apices"),
        ("Nodule over the right 7th rib", "on the right"),
        ("Fracture of the right 7th rib", "in the right ribs"),
        ("Cardiomegaly", ""),
    ],
)
def test_places(sentence: str, where: str) -> None:
    (mention,) = mentions(sentence)
    assert mention.where == where


def test_each_finding_keeps_its_own_place() -> None:
    found = {m.finding: m.where for m in mentions("Right upper lobe nodule, with left pleural effusion")}
    assert found == {"lung nodule": "in the right upper lobe", "pleural effusion": "on the left"}


def test_place_phrases() -> None:
    assert place("", "") == ""
    assert place("both", "lower lobe") == "in both lower lobes"
    assert place("left", "lung apex") == "at the left lung apex"
    assert place("both", "hilum") == "in both hila"

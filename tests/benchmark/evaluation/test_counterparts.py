"""Names of other vocabularies lead to existing training labels."""

import pytest

from benchmark.cohort.adapters import chexpert, open_i, padchest, vindr_cxr
from benchmark.evaluation import counterparts

TABLE = counterparts.load()
TRAINED = [*chexpert.FINDINGS, "normal"]
VOCABULARIES = {
    "vindr_cxr": vindr_cxr.LOCAL + vindr_cxr.GLOBAL,
    "open_i": open_i.FINDINGS,
    "padchest": padchest.vocabulary(),
}


def test_every_entry_names_an_existing_finding_and_an_existing_label() -> None:
    for dataset, entries in TABLE.items():
        assert set(entries) <= set(VOCABULARIES[dataset])
        assert set(entries.values()) <= set(TRAINED)
        assert not any(finding.lower() == label.lower() for finding, label in entries.items())  # needs no entry


@pytest.mark.parametrize(
    ("dataset", "finding", "label"),
    [
        ("vindr_cxr", "Pleural effusion", "Pleural Effusion"),
        ("vindr_cxr", "Nodule/Mass", "Lung Lesion"),
        ("padchest", "dual chamber device", "Support Devices"),
        ("chexpert", "Fracture", "Fracture"),
        ("open_i", "normal", "normal"),
        ("padchest", "scoliosis", None),
        ("vindr_cxr", "Aortic enlargement", None),
    ],
)
def test_a_finding_is_answered_by_its_entry_or_by_its_namesake_or_not_at_all(
    dataset: str, finding: str, label: str | None
) -> None:
    assert counterparts.of(dataset, finding, TRAINED, TABLE) == label


def test_a_label_that_was_not_trained_answers_for_nothing() -> None:
    assert counterparts.of("vindr_cxr", "Nodule/Mass", ["Edema"], TABLE) is None

from __future__ import annotations

from collections import defaultdict

import pytest

from benchmark.cohort.phantom.studies import NORMAL_SHARE, UNINDEXED, choose
from benchmark.cohort.phantom.vocabulary import (
    CHEXPERT,
    CHEXPERT_COLUMNS,
    PADCHEST,
    VINDR,
    VINDR_COLUMNS,
    VINDR_LOCAL,
    with_parents,
)
from benchmark.common.errors import UserError
from benchmark.materials import partition
from benchmark.pipeline import layout

COUNTS = {"mimic_cxr": 1200, "vindr_cxr": 600, "open_i": 500, "chexpert": 300, "padchest": 500}


@pytest.fixture(scope="module")
def cohorts(reports):
    return {dataset: choose(dataset, reports, count, 2025) for dataset, count in COUNTS.items()}


def test_a_text_that_trains_is_never_evaluated(cohorts) -> None:
    trained = {partition.normalised(study.report.text) for study in cohorts["mimic_cxr"]}
    for dataset in layout.EVALUATION_DATASETS:
        assert trained.isdisjoint(partition.normalised(study.report.text) for study in cohorts[dataset]), dataset


def test_neither_texts_nor_patients_straddle_train_and_validate(cohorts) -> None:
    for key in (lambda study: partition.normalised(study.report.text), lambda study: study.patient):
        sides = defaultdict(set)
        for study in cohorts["mimic_cxr"]:
            sides[key(study)].add(study.split)
        assert all(len(found) == 1 for found in sides.values())
    validated = sum(study.split == "validate" for study in cohorts["mimic_cxr"])
    assert validated / COUNTS["mimic_cxr"] == pytest.approx(0.05, abs=0.005)


def test_the_share_of_normal_studies_is_the_datasets_own(cohorts) -> None:
    for dataset, share in NORMAL_SHARE.items():
        normal = sum(study.normal for study in cohorts[dataset])
        assert normal / COUNTS[dataset] == pytest.approx(share, abs=0.005), dataset


def test_open_i_shows_each_report_once(cohorts) -> None:
    uids = [study.report.uid for study in cohorts["open_i"]]
    assert len(set(uids)) == len(uids)
    assert all(study.report.image_ids for study in cohorts["open_i"])


def test_the_rarer_labels_still_occur(cohorts) -> None:
    carried = set().union(*(study.labels for study in cohorts["vindr_cxr"]))
    assert len(carried & set(VINDR_LOCAL)) >= 18
    abnormal = set().union(*(study.labels for study in cohorts["chexpert"]))
    assert len(abnormal) >= 12


def test_reports_without_an_index_are_not_imaged(cohorts) -> None:
    assert all(not UNINDEXED & set(study.report.major) for studies in cohorts.values() for study in studies)


def test_the_choice_depends_on_the_seed_alone(reports, cohorts) -> None:
    again = choose("chexpert", reports, COUNTS["chexpert"], 2025)
    assert again == cohorts["chexpert"]
    assert choose("chexpert", reports, COUNTS["chexpert"], 2026) != again


def test_more_open_i_studies_than_reports_is_an_error(reports) -> None:
    with pytest.raises(UserError, match=r"phantom.studies.open_i is 5000.*lower it"):
        choose("open_i", reports, 5000, 1)


def test_vocabularies_hold_published_names_only() -> None:
    assert {label for labels in VINDR.values() for label in labels} <= set(VINDR_COLUMNS)
    assert {label for labels in CHEXPERT.values() for label in labels} <= set(CHEXPERT_COLUMNS)
    assert len(VINDR_COLUMNS) == 28
    assert len({label for labels in VINDR.values() for label in labels} | {"No finding"}) >= 14


def test_padchest_names_occur_in_the_published_table() -> None:
    from benchmark.materials import contents, wheels

    if not (layout.MATERIALS / wheels.TORCHXRAYVISION.filename).is_file():
        pytest.skip("data/materials/ is empty")
    labels = contents.published_table(
        "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz", usecols=["Labels"], dtype=str
    )["Labels"].dropna()
    text = " ".join(labels.unique())
    assert [name for names in PADCHEST.values() for name in names if f"{name}'" not in text] == []


def test_the_hierarchy_adds_parents() -> None:
    assert with_parents({"Pneumonia"}) == {"Pneumonia", "Lung Opacity", "Consolidation"}
    assert with_parents({"Cardiomegaly"}) == {"Cardiomegaly", "Enlarged Cardiomediastinum"}

"""Which studies a phantom set holds: reports for training and Open-I, rows of the public tables for the others."""

from __future__ import annotations

from collections import defaultdict

import pytest

from benchmark.cohort.phantom.drawn_as import KINDS, PADCHEST, VINDR
from benchmark.cohort.phantom.findings.boxed import DRAW as BOXED
from benchmark.cohort.phantom.findings.drawing import COMPOUND, DRAW
from benchmark.cohort.phantom.studies import NORMAL_SHARE, UNINDEXED, choose
from benchmark.cohort.phantom.vocabulary import CHEXPERT, CHEXPERT_COLUMNS, VINDR_LOCAL, with_parents
from benchmark.common.errors import UserError
from benchmark.materials import label_tables, partition

COUNTS = {"mimic_cxr": 1200, "vindr_cxr": 600, "open_i": 500, "chexpert": 300, "padchest": 500}
OF_TABLES = tuple(KINDS)


@pytest.fixture(scope="module")
def cohorts(reports):
    return {dataset: choose(dataset, count, 2025) for dataset, count in COUNTS.items()}


def test_no_two_sets_image_the_same_report_or_row(cohorts) -> None:
    sources = {dataset: {study.source for study in studies} for dataset, studies in cohorts.items()}
    assert all(source.startswith("report ") for name in ("mimic_cxr", "open_i") for source in sources[name])
    assert all(source.startswith("row ") for name in OF_TABLES for source in sources[name])
    assert sources["mimic_cxr"].isdisjoint(sources["open_i"])
    for name in (*OF_TABLES, "open_i"):
        assert len(sources[name]) == COUNTS[name], name


def test_a_text_that_trains_is_never_evaluated(cohorts) -> None:
    trained = {partition.normalised(study.text.text) for study in cohorts["mimic_cxr"]}
    assert trained.isdisjoint(partition.normalised(study.text.text) for study in cohorts["open_i"])
    for dataset in OF_TABLES:
        assert all(study.report is None for study in cohorts[dataset])
        with pytest.raises(ValueError, match="has no report"):
            _ = cohorts[dataset][0].text


def test_neither_texts_nor_patients_straddle_train_and_validate(cohorts) -> None:
    for key in (lambda study: partition.normalised(study.text.text), lambda study: study.patient):
        sides = defaultdict(set)
        for study in cohorts["mimic_cxr"]:
            sides[key(study)].add(study.split)
        assert all(len(found) == 1 for found in sides.values())
    validated = sum(study.split == "validate" for study in cohorts["mimic_cxr"])
    assert validated / COUNTS["mimic_cxr"] == pytest.approx(0.05, abs=0.005)


def test_the_share_of_normal_training_studies_is_the_stated_one(cohorts) -> None:
    normal = sum(study.normal for study in cohorts["mimic_cxr"])
    assert normal / COUNTS["mimic_cxr"] == pytest.approx(NORMAL_SHARE, abs=0.005)


def test_open_i_shows_each_report_once_in_its_own_view(cohorts) -> None:
    assert all(study.text.image_ids for study in cohorts["open_i"])
    assert {study.view for study in cohorts["open_i"]} >= {"PA"}


def test_views_sex_and_age_are_the_rows_own(cohorts) -> None:
    for dataset in ("chexpert", "padchest"):
        table = label_tables.read(dataset)
        at = {f"row {number}": index for index, number in enumerate(table.number)}
        for study in cohorts[dataset]:
            row = table.row(at[study.source])
            assert (study.view, study.female, study.age, study.normal) == (row.view, row.female, row.age, row.normal)
            assert study.age is not None
            assert study.age >= label_tables.ADULT
    assert all((s.view, s.female, s.age) == ("", None, None) for s in cohorts["vindr_cxr"]), "its table says nothing"


def test_every_label_of_a_row_is_borne_by_a_finding(cohorts) -> None:
    for dataset in OF_TABLES:
        for study in cohorts[dataset]:
            borne = {label for finding in study.findings for label in finding.labels}
            if dataset == "chexpert":
                borne = with_parents(borne)
            assert borne == study.labels - {label_tables.NORMAL[dataset]}, (dataset, study.source)


def test_a_box_of_the_table_becomes_one_finding_at_that_place(cohorts) -> None:
    table = label_tables.read("vindr_cxr")
    at = {f"row {number}": index for index, number in enumerate(table.number)}
    seen = 0
    for study in cohorts["vindr_cxr"]:
        row = table.row(at[study.source])
        assert [(finding.labels, finding.box) for finding in study.findings] == [((n,), box) for n, box in row.boxes]
        seen += len(row.boxes)
    assert seen > 100


def test_reports_without_an_index_are_not_imaged(cohorts) -> None:
    assert all(not UNINDEXED & set(s.text.major) for name in ("mimic_cxr", "open_i") for s in cohorts[name])


def test_the_choice_depends_on_the_seed_alone(cohorts) -> None:
    for dataset in ("mimic_cxr", "chexpert", "padchest"):
        assert choose(dataset, COUNTS[dataset], 2025) == cohorts[dataset]
        assert choose(dataset, COUNTS[dataset], 2026) != cohorts[dataset]


@pytest.mark.parametrize("dataset", ["open_i", "vindr_cxr"])
def test_more_studies_than_the_source_holds_is_an_error(reports, dataset: str) -> None:
    with pytest.raises(UserError, match=rf"phantom.studies.{dataset} is 20000.*lower it"):
        choose(dataset, 20_000, 1)


def test_every_label_that_is_drawn_has_a_brush_and_is_published(reports) -> None:
    for dataset, kinds in KINDS.items():
        assert {kind for found in kinds.values() for kind in found} <= {*DRAW, *COMPOUND}, dataset
        assert set(kinds) <= set(label_tables.read(dataset).names), dataset
    assert {kind for found in VINDR.values() for kind in found} <= set(BOXED)
    assert set(VINDR) <= set(VINDR_LOCAL)
    assert {label for labels in CHEXPERT.values() for label in labels} <= set(CHEXPERT_COLUMNS)
    assert len(PADCHEST) > 120


def test_the_hierarchy_adds_parents() -> None:
    assert with_parents({"Pneumonia"}) == {"Pneumonia", "Lung Opacity", "Consolidation"}
    assert with_parents({"Cardiomegaly"}) == {"Cardiomegaly", "Enlarged Cardiomediastinum"}

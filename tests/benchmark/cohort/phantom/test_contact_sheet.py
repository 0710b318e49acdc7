"""The contact sheet: which studies it shows, and that images, boxes and captions stand where they belong."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from benchmark.cohort.phantom import contact_sheet
from benchmark.cohort.phantom import rendering as cohort
from benchmark.cohort.phantom.studies import choose

COUNT, COLUMNS, SIZE = 5, 2, 96


def test_a_sheet_shows_the_cohorts_images_in_a_grid_with_yellow_boxes(anatomy, reports, tmp_path: Path) -> None:
    path = tmp_path / "sheet.png"
    contact_sheet.contact_sheet("vindr_cxr", path, seed=9, studies=40, count=COUNT, columns=COLUMNS, size=SIZE)

    shown = cv2.imread(str(path), cv2.IMREAD_COLOR)
    height = SIZE + contact_sheet.CAPTION
    assert shown.shape == (3 * height, COLUMNS * SIZE, 3)
    assert (shown[-height:, SIZE:] == 0).all(), "the sixth place of a sheet of five is black"
    studies = contact_sheet.chosen_for_sheet(choose("vindr_cxr", 40, 9), COUNT)
    for number, study in enumerate(studies):
        row, column = divmod(number, COLUMNS)
        tile = shown[row * height : (row + 1) * height, column * SIZE : (column + 1) * SIZE]
        image = cohort.image_of(anatomy, study, SIZE, 9)
        yellow = (tile == contact_sheet.YELLOW).all(axis=2)
        grey = np.round(image.grey * 255).astype(np.uint8)
        rows, columns = grey.shape
        for drawn in image.drawn:
            x_min, y_min, x_max, y_max = drawn.box
            assert yellow[y_min, x_min]
            assert yellow[y_max - 1, x_max - 1]
        assert yellow.any() == bool(image.drawn)
        untouched = ~yellow[:rows, :columns]
        assert (tile[:rows, :columns][untouched] == grey[untouched][:, None]).all()
        assert tile[SIZE:].max() > 150, "a caption"


def test_a_third_is_normal_and_every_abnormal_study_adds_a_kind_while_there_are_such(reports) -> None:
    studies = choose("padchest", 300, 4)
    chosen = contact_sheet.chosen_for_sheet(studies, 24)
    assert [study.normal for study in chosen] == [True] * 8 + [False] * 16
    shown: set[str] = set()
    for study in chosen[8:]:
        assert not study.kinds <= shown
        shown |= study.kinds

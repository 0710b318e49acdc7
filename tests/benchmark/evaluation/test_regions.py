"""Boxes, masks and zones must cover exactly the pixels that a painted mask covers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.evaluation import lung_template, regions
from benchmark.evaluation.regions import Region
from tests.properties import examples


def painted(rectangles: np.ndarray, height: int, width: int) -> np.ndarray:
    """How often each pixel is covered."""
    counts = np.zeros((height, width), int)
    for top, left, bottom, right in rectangles:
        counts[top:bottom, left:right] += 1
    return counts


def code(mask: np.ndarray) -> str:
    return coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode("ascii")


@st.composite
def rectangle_sets(draw: st.DrawFn) -> np.ndarray:
    edges = st.tuples(st.integers(0, 20), st.integers(1, 9), st.integers(0, 20), st.integers(1, 9))
    return np.array([[t, x, t + h, x + w] for t, h, x, w in draw(st.lists(edges, min_size=1, max_size=5))])


@examples(60)
@given(rectangle_sets())
def test_overlapping_boxes_are_cut_into_disjoint_ones(rectangles: np.ndarray) -> None:
    parts = painted(regions.disjoint(rectangles), 30, 30)
    np.testing.assert_array_equal(parts, painted(rectangles, 30, 30) > 0)


@examples(40)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_a_mask_and_its_rectangles_are_the_same_pixels(seed: int, density: float) -> None:
    generator = np.random.default_rng(seed)
    first, second = generator.random((2, 23, 17)) < density
    first[3, 5] = True
    rectangles = regions.mask_pixels([code(first), code(second)], 23, 17)
    np.testing.assert_array_equal(painted(rectangles, 23, 17), first | second)


@examples(60)
@given(rectangle_sets(), st.integers(0, 29), st.integers(0, 29))
def test_distance_area_and_grid_agree_with_a_painted_mask(rectangles: np.ndarray, row: int, column: int) -> None:
    region = Region("a", "Edema", "box", regions.disjoint(rectangles))
    mask = painted(rectangles, 30, 30) > 0
    assert region.area == mask.sum()
    nearest = np.hypot(*(np.argwhere(mask) - (row, column)).T).min()
    assert region.distance(row, column) == pytest.approx(nearest)
    rows, columns = np.arange(1, 30, 3), np.arange(0, 30, 4)
    np.testing.assert_array_equal(region.contains(rows, columns), mask[np.ix_(rows, columns)])


def test_a_box_holds_the_pixels_whose_centres_it_holds() -> None:
    np.testing.assert_array_equal(regions.box_pixels(2.0, 3.0, 5.0, 4.0, 10, 10), [[3, 2, 4, 5]])
    np.testing.assert_array_equal(regions.box_pixels(2.4, 3.6, 5.6, 7.4, 10, 10), [[4, 2, 7, 6]])
    np.testing.assert_array_equal(regions.box_pixels(-4, -4, 40, 40, 10, 12), [[0, 0, 10, 12]])
    np.testing.assert_array_equal(
        regions.box_pixels(3.6, 3.6, 3.8, 3.8, 10, 10), [[4, 4, 5, 5]]
    )  # thinner than a pixel


@pytest.mark.parametrize("box", [(5, 1, 4, 2), (1, 1, 1, 2), (0, 0, float("nan"), 3), (20, 1, 30, 2), (-9, 1, -1, 2)])
def test_impossible_boxes_are_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="box"):
        regions.box_pixels(*box, 10, 10)


def test_impossible_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        regions.mask_pixels([code(np.zeros((4, 4)))], 4, 4)


INDEX = pd.DataFrame({"image_id": ["b", "a"], "height": [40, 20], "width": [30, 20]})
BOX = {"image_id": "a", "finding": "Edema", "kind": "box", "x_min": 2.0, "y_min": 3.0, "x_max": 5.0, "y_max": 9.0}
BOX |= {"rle": "", "side": "", "zone": ""}


def table(path: Path, *rows: dict) -> Path:
    files.write_parquet(path / "regions.parquet", pd.DataFrame([BOX | row for row in rows]))
    return path / "regions.parquet"


def test_regions_come_in_the_order_of_the_index_and_of_the_findings(tmp_path: Path) -> None:
    path = table(tmp_path, {}, {"finding": "Atelectasis"}, {"image_id": "b"}, {"finding": "Unscored"}, {"x_max": 8.0})
    found = list(regions.read(path, INDEX, ["Atelectasis", "Edema"]))
    assert [(r.image_id, r.finding) for r in found] == [("b", "Edema"), ("a", "Atelectasis"), ("a", "Edema")]
    assert found[2].area == 6 * 6  # rows 0 and 4 are one region


def test_a_zone_row_becomes_the_template_at_the_images_size(tmp_path: Path) -> None:
    path = table(tmp_path, {"image_id": "b", "kind": "zone", "side": "left", "zone": "lower"})
    (region,) = regions.read(path, INDEX, ["Edema"])
    np.testing.assert_array_equal(region.rectangles, lung_template.rectangles("left", "lower", 40, 30))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"image_id": "c"}, "names the image 'c'"),
        ({"kind": "polygon"}, "row 0, image 'a', Edema: expected one kind of box, mask or zone"),
        ({"x_max": 1.0}, "row 0, image 'a', Edema: a box needs x_min < x_max"),
        ({"kind": "zone", "side": "west"}, "found side 'west'"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        list(regions.read(table(tmp_path, row), INDEX, ["Edema"]))


def test_two_kinds_of_region_for_one_finding_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"found \['box', 'zone'\]"):
        list(regions.read(table(tmp_path, {}, {"kind": "zone", "side": "left"}), INDEX, ["Edema"]))

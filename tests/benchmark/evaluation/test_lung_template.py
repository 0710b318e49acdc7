"""Location words become rectangles of the lung-field template."""

import numpy as np
import pytest

from benchmark.evaluation import lung_template


def test_the_patients_left_is_the_right_half_of_a_frontal_image() -> None:
    (left,) = lung_template.rectangles("left", "", 1000, 500)
    (right,) = lung_template.rectangles("right", "", 1000, 500)
    assert left[1] > 250
    assert right[3] < 250


@pytest.mark.parametrize("side", ["left", "right", "bilateral", ""])
def test_thirds_tile_the_lung_field(side: str) -> None:
    whole = lung_template.rectangles(side, "", 999, 777)
    thirds = [lung_template.rectangles(side, zone, 999, 777) for zone in ("upper", "middle", "lower")]
    for k, field in enumerate(whole):
        parts = [third[k] for third in thirds]
        assert [part[2] for part in parts[:-1]] == [part[0] for part in parts[1:]]
        np.testing.assert_array_equal([parts[0][0], parts[-1][2]], [field[0], field[2]])
        assert all((part[1], part[3]) == (field[1], field[3]) for part in parts)


def test_no_side_and_both_sides_mean_both_lungs() -> None:
    both = np.concatenate([lung_template.rectangles(side, "lower", 400, 300) for side in ("right", "left")])
    np.testing.assert_array_equal(lung_template.rectangles("bilateral", "lower", 400, 300), both)
    np.testing.assert_array_equal(lung_template.rectangles("", "lower", 400, 300), both)


@pytest.mark.parametrize(("side", "zone"), [("Left", ""), ("left", "basal"), ("middle", "")])
def test_other_words_are_refused(side: str, zone: str) -> None:
    with pytest.raises(ValueError, match="found side"):
        lung_template.rectangles(side, zone, 100, 100)

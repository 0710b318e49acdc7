"""The surface must equal literal bilinear upsampling, cutting and searching of every pixel."""

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch.nn.functional import interpolate

from benchmark.cohort.decoding import decode
from benchmark.evaluation.surface import Placement, Surface
from tests.properties import examples

SIDES = st.integers(3, 97)
CELLS = st.integers(1, 11)
SEEDS = st.integers(0, 2**32 - 1)
# Original size and cached square whose fitted copy has the original's exact proportions: (height, width, square).
PROPORTIONAL = [(64, 48, 16), (48, 64, 16), (200, 250, 20), (96, 24, 32), (50, 50, 10)]


def literal(heatmaps: np.ndarray, height: int, width: int) -> np.ndarray:
    """Upsample to the padded square at the original's resolution with PyTorch, cut the padding away."""
    side = max(height, width)
    square = interpolate(torch.from_numpy(heatmaps)[None], (side, side), mode="bilinear", align_corners=False)[0]
    top, left = (side - height) // 2, (side - width) // 2
    return square[:, top : top + height, left : left + width].numpy()


def everywhere(surface: Surface) -> np.ndarray:
    return surface.at(np.arange(surface.rows.pixels), np.arange(surface.columns.pixels))


@examples(60)
@given(side=SIDES, h=CELLS, w=CELLS, seed=SEEDS)
def test_an_unpadded_image_is_interpolated_as_torch_does(side: int, h: int, w: int, seed: int) -> None:
    heatmaps = np.random.default_rng(seed).normal(size=(2, h, w))
    surface = Surface.of(heatmaps, Placement.of(side, side, side))
    np.testing.assert_allclose(everywhere(surface), literal(heatmaps, side, side), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("height", "width", "square"), PROPORTIONAL)
@pytest.mark.parametrize(("h", "w"), [(4, 4), (7, 5), (14, 14)])
def test_padding_is_cut_away_before_the_maximum_is_sought(height: int, width: int, square: int, h: int, w: int) -> None:
    heatmaps = np.random.default_rng(h * w).normal(size=(40, h, w))
    expected = literal(heatmaps, height, width)
    surface = Surface.of(heatmaps, Placement.of(height, width, square))
    np.testing.assert_allclose(everywhere(surface), expected, rtol=0, atol=1e-12)
    rows, columns, values = surface.maximum()
    found = expected[np.arange(40), rows, columns]
    np.testing.assert_allclose(found, expected.max(axis=(1, 2)), rtol=0, atol=1e-12)
    np.testing.assert_allclose(values, found, rtol=0, atol=1e-12)
    flat = expected.reshape(40, -1)  # PyTorch's rounding breaks ties on a plateau, hence the margin
    np.testing.assert_array_equal(
        rows * width + columns, (flat > flat.max(axis=1, keepdims=True) - 1e-12).argmax(axis=1)
    )
    np.testing.assert_allclose(surface.minimum(), expected.min(axis=(1, 2)), rtol=0, atol=1e-12)


def test_a_maximum_in_the_padding_does_not_count() -> None:
    heatmap = np.zeros((1, 8, 8))
    heatmap[0, :, 0], heatmap[0, 5, 4] = 9.0, 1.0  # the image is 2 wide in 8: columns 3 and 4 hold it
    row, column, value = Surface.of(heatmap, Placement.of(400, 100, 8)).maximum()
    assert value[0] == pytest.approx(1.0, abs=0.05)
    assert 250 <= row[0] < 300
    assert column[0] >= 50


def exact(heatmaps: np.ndarray, placement: Placement) -> np.ndarray:
    """The surfaces of maps of whole numbers at every pixel, in whole numbers: times a factor, rounded nowhere."""

    def weights(cells: int, pixels: int, fitted: int, offset: int) -> np.ndarray:
        """(pixels, cells): share of each cell in each pixel, times 2 x pixels x square."""
        unit = 2 * pixels * placement.size
        position = (2 * pixels * offset + (2 * np.arange(pixels) + 1) * fitted) * cells - pixels * placement.size
        position = np.clip(position, 0, (cells - 1) * unit)
        return np.maximum(unit - abs(position[:, None] - unit * np.arange(cells)), 0)

    vertical = weights(heatmaps.shape[1], placement.height, placement.fitted_height, placement.top)
    horizontal = weights(heatmaps.shape[2], placement.width, placement.fitted_width, placement.left)
    return vertical @ heatmaps @ horizontal.T


@examples(80)
@given(height=SIDES, width=SIDES, h=CELLS, w=CELLS, levels=st.integers(1, 3), seed=SEEDS)
@example(height=77, width=7, h=11, w=4, levels=2, seed=2)  # pixels 368 and 370 are equal but for rounding
def test_ties_go_to_the_first_pixel_in_row_major_order(
    height: int, width: int, h: int, w: int, levels: int, seed: int
) -> None:
    heatmaps = np.random.default_rng(seed).integers(0, levels, (3, h, w))  # plateaus everywhere
    placement = Placement.of(height, width, 24)
    rows, columns, _ = Surface.of(heatmaps.astype(float), placement).maximum()
    np.testing.assert_array_equal(rows * width + columns, exact(heatmaps, placement).reshape(3, -1).argmax(axis=1))


@pytest.mark.parametrize("offset", [0.0, 1000.0, -1e6])
@pytest.mark.parametrize("scale", [1.0, 2.0**-13])
def test_ties_do_not_depend_on_where_the_values_of_a_map_lie(offset: float, scale: float) -> None:
    heatmaps = np.random.default_rng(3).integers(0, 2, (40, 11, 4))
    placement = Placement.of(77, 7, 24)
    rows, columns, _ = Surface.of(offset + scale * heatmaps.astype(float), placement).maximum()
    np.testing.assert_array_equal(rows * 7 + columns, exact(heatmaps, placement).reshape(40, -1).argmax(axis=1))


@examples(60)
@given(height=SIDES, width=SIDES, h=CELLS, w=CELLS, seed=SEEDS)
def test_sums_over_rectangles_equal_sums_over_pixels(height: int, width: int, h: int, w: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    surface = Surface.of(generator.normal(size=(2, h, w)), Placement.of(height, width, 40))
    top, left = generator.integers(0, height), generator.integers(0, width)
    bottom, right = generator.integers(top + 1, height + 1), generator.integers(left + 1, width + 1)
    pixels = everywhere(surface)
    inside = np.zeros((height, width), bool)
    inside[top:bottom, left:right] = True
    rectangles = [[top, left, bottom, right]]
    if bottom < height:
        rectangles.append([bottom, 0, height, width])
        inside[bottom:] = True
    total, squares = surface.sums([np.array(rectangles)] * 2)
    np.testing.assert_allclose(total, pixels[:, inside].sum(axis=1), rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(squares, (pixels[:, inside] ** 2).sum(axis=1), rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("size", [(2544, 3056), (3056, 2544), (500, 500), (2001, 1777), (333, 1000), (3, 700)])
@pytest.mark.parametrize("square", [80, 224, 256])
def test_the_placement_is_where_the_cache_puts_the_image(size: tuple[int, int], square: int) -> None:
    held = np.argwhere(decode.fit(np.full(size, 255, np.uint8), square))
    placement = Placement.of(*size, square)
    assert (placement.top, placement.left) == tuple(held.min(axis=0))
    assert (placement.fitted_height, placement.fitted_width) == tuple(held.max(axis=0) - held.min(axis=0) + 1)


def test_corners_of_the_original_lie_at_the_corners_of_its_fitted_copy() -> None:
    placement = Placement.of(200, 100, 80)
    assert placement.to_square(0, 0) == (0, 20)
    assert placement.to_square(200, 100) == (80, 60)

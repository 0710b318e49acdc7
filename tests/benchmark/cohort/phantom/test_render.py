from __future__ import annotations

import numpy as np
import pytest

from benchmark.cohort.phantom.acquisition import STYLES
from benchmark.cohort.phantom.anatomy import HEIGHT, PIXEL, WATER, WIDTH
from benchmark.cohort.phantom.canvas import COLUMNS, ROWS, sphere
from benchmark.cohort.phantom.findings.boxed import DRAW as BOXED
from benchmark.cohort.phantom.findings.drawing import DRAW, NO_SIDE
from benchmark.cohort.phantom.findings.finding import Finding
from benchmark.cohort.phantom.render import Build, Framing, render

MIDLINE = 128
SIDED = sorted(set(DRAW) - NO_SIDE)
ACROSS = {"catheter", "pacemaker", "tube", "mediastinal_shift", "scoliosis"}
"""What crosses the midline whatever side its tag names."""


def test_a_sphere_has_the_volume_of_a_sphere() -> None:
    radius = 20.0
    assert sphere(100, 120, radius).sum() * PIXEL**2 == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)


def test_lungs_let_more_through_than_the_mediastinum(anatomy) -> None:
    assert anatomy.soft.shape == (HEIGHT, WIDTH)
    lungs = (anatomy.right_lung > 60) | (anatomy.left_lung > 60)
    assert anatomy.soft[anatomy.heart > 60].mean() > 1.5 * anatomy.soft[lungs & (ROWS < 110)].mean()
    # A trunk is 15 to 30 cm deep: its line integral through the spine is that of as much water.
    assert 150 < anatomy.soft[anatomy.spine > 40].mean() / WATER < 300


def test_the_right_lung_lies_on_the_left_of_the_image(anatomy) -> None:
    assert (anatomy.right_lung * COLUMNS).sum() / anatomy.right_lung.sum() < MIDLINE - 15
    assert (anatomy.left_lung * COLUMNS).sum() / anatomy.left_lung.sum() > MIDLINE + 15


@pytest.mark.parametrize("kind", sorted(DRAW))
def test_every_brush_leaves_a_mark(anatomy, kind: str) -> None:
    drawing = DRAW[kind](anatomy, Finding(kind, "right", severity=0.6), np.random.default_rng(3))
    assert drawing.integral is not None or drawing.warp is not None
    if drawing.integral is not None:
        assert drawing.integral.shape == (HEIGHT, WIDTH)
        assert np.isfinite(drawing.integral).all()
        assert np.abs(drawing.integral).max() > 0.05  # 5 % of the beam: above the noise of every style


@pytest.mark.parametrize("kind", sorted({*SIDED} - ACROSS))
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_finding_lies_on_the_side_its_tag_names(anatomy, kind: str, side: str) -> None:
    drawing = DRAW[kind](anatomy, Finding(kind, side, severity=0.6), np.random.default_rng(5))
    share = drawing.region[:, COLUMNS[0] < MIDLINE].sum() / drawing.region.sum()
    assert share > 0.8 if side == "right" else share < 0.2


@pytest.mark.parametrize("kind", ["opacity", "nodule", "granuloma", "consolidation"])
def test_zones_stand_above_one_another(anatomy, kind: str) -> None:
    rows = []
    for zone in ("upper", "middle", "lower"):
        region = DRAW[kind](anatomy, Finding(kind, "right", zone, 0.5), np.random.default_rng(2)).region
        rows.append(float((region * ROWS).sum() / region.sum()))
    assert rows == sorted(rows)


def _pair(anatomy, findings: list[Finding]):
    """A patient without and with findings: the same patient, framing, exposure and noise."""
    images = []
    for chosen in ([], findings):
        rng = np.random.default_rng(11)
        build = Build.of(np.random.default_rng(4), female=False)
        images.append(render(anatomy, build, chosen, STYLES["vindr_cxr"], 160, rng))
    return images


@pytest.mark.parametrize("kind", ["consolidation", "mass", "effusion", "pneumonia", "nodule"])
def test_what_is_dense_is_brighter_inside_its_box_than_without_it(anatomy, kind: str) -> None:
    build = Build.of(np.random.default_rng(4), female=False)
    finding = Finding(kind, "right", "lower" if kind == "effusion" else "middle", 0.8)
    for seed in range(6):
        with_it, without = (
            render(anatomy, build, found, STYLES["vindr_cxr"], 160, np.random.default_rng(seed))
            for found in ([finding], [])
        )
        region = with_it.drawn[0].region
        assert (with_it.grey - without.grey)[region].mean() > 0.02, seed


def test_the_box_is_the_extent_of_the_region(anatomy) -> None:
    _, image = _pair(anatomy, [Finding("mass", "left", "upper", 0.7)])
    drawn = image.drawn[0]
    x_min, y_min, x_max, y_max = drawn.box
    assert drawn.region[y_min:y_max, x_min:x_max].sum() == drawn.region.sum()
    assert drawn.region[:, x_min].any()
    assert drawn.region[:, x_max - 1].any()
    assert drawn.region[y_min].any()
    assert drawn.region[y_max - 1].any()


def test_the_same_generator_gives_the_same_image(anatomy) -> None:
    first = _pair(anatomy, [Finding("edema", "bilateral")])[1].grey
    assert np.array_equal(first, _pair(anatomy, [Finding("edema", "bilateral")])[1].grey)


def test_grey_values_and_sizes_are_as_promised(anatomy) -> None:
    for name, style in STYLES.items():
        rng = np.random.default_rng(8)
        image = render(anatomy, Build.of(rng, True), [], style, 128, rng)
        assert image.grey.dtype == np.float32, name
        assert max(image.grey.shape) == 128
        assert style.aspect[0] * 0.98 <= image.grey.shape[0] / image.grey.shape[1] <= style.aspect[1] * 1.02
        assert image.grey.min() >= 0
        assert image.grey.max() <= 1
        assert image.grey.std() > 0.1


@pytest.mark.parametrize("kind", sorted(set(BOXED) - {"cardiomegaly", "aorta_enlarged"}))
def test_what_has_a_box_is_drawn_and_seen_in_it(anatomy, kind: str) -> None:
    low = kind in ("effusion", "pneumothorax")
    box = (0.10, 0.45, 0.30, 0.66) if low else (0.16, 0.25, 0.34, 0.42)
    build = Build.of(np.random.default_rng(4), female=False)
    differences, held = [], []
    for seed in range(4):
        images = [
            render(anatomy, build, findings, STYLES["vindr_cxr"], 160, np.random.default_rng(seed), "PA")
            for findings in ([], [Finding(kind, severity=0.5, labels=("x",), box=box)])
        ]
        drawn = images[1].drawn[0]
        height, width = drawn.region.shape
        rows, columns = np.nonzero(drawn.region)
        centre = (columns.mean() / width, rows.mean() / height)
        held.append(np.hypot(centre[0] - (box[0] + box[2]) / 2, centre[1] - (box[1] + box[3]) / 2))
        # The display fits its window to what it sees, so the whole image changes a little.
        change = images[1].grey - images[0].grey
        differences.append(abs(change[drawn.region].mean() - np.median(change)))
    assert np.median(held) < 0.1
    assert min(differences) > 0.01


def test_a_place_on_the_canvas_is_shown_where_its_box_was() -> None:
    framing = Framing((160, 130), 1.3, 0.05, (95.0, 131.0), 1.05)
    box = (0.2, 0.3, 0.4, 0.5)
    place = framing.place(box)
    rows, columns = framing.on_canvas(*np.mgrid[:160, :130].astype(float))
    nearest = np.unravel_index(np.hypot(rows - place.row, columns - place.column).argmin(), rows.shape)
    assert nearest == (pytest.approx(0.4 * 160, abs=1), pytest.approx(0.3 * 130, abs=1))
    assert place.half_height == pytest.approx(0.1 * 160 * 1.3)
    assert place.half_width == pytest.approx(0.1 * 130 * 1.3 / 1.05)


def test_normal_chests_vary_and_a_named_view_is_taken(anatomy) -> None:
    images = []
    for seed in range(12):
        build = Build.of(np.random.default_rng(seed), female=seed % 2 == 0, age=30 + 5 * seed)
        view = "AP" if seed % 3 == 0 else "PA"
        image = render(anatomy, build, [], STYLES["padchest"], 64, np.random.default_rng(seed), view)
        assert image.view == view
        assert image.drawn == ()
        images.append(image.grey[16:48, 16:48])
    spread = np.stack(images).std(axis=0).mean()
    assert spread > 0.08, "of a grey scale from 0 to 1"

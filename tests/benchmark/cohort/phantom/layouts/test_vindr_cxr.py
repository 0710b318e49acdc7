"""The boxes of the phantom VinDr-CXR beside those that readers drew on the real images behind it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmark.cohort.phantom.findings.finding import Finding
from benchmark.cohort.phantom.layouts import vindr_cxr as write_vindr_cxr
from benchmark.cohort.phantom.render import Drawn
from benchmark.cohort.phantom.rendering import image_of
from benchmark.cohort.phantom.studies import choose

SIZE, STUDIES, SEED = 160, 900, 2025
"""The embedded default."""
ANCHORED = ("Cardiomegaly", "Aortic enlargement")
"""They lie where the heart and the aorta are; of their boxes the breadth counts."""
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@pytest.fixture(scope="module")
def pairs(anatomy, reports) -> pd.DataFrame:
    """Each finding of the embedded default: its real box and the largest written one, in shares of the image."""
    rows = []
    for study in choose("vindr_cxr", STUDIES, SEED):
        if not study.findings:
            continue
        image = image_of(anatomy, study, SIZE, SEED)
        height, width = image.grey.shape
        drawn = {(drawn.finding.labels, drawn.finding.box): drawn for drawn in image.drawn}
        for finding in study.findings:
            assert finding.box is not None
            ours = [np.nan] * 4
            if (found := drawn.get((finding.labels, finding.box))) is not None:
                boxes = np.array(write_vindr_cxr.boxes(found), float) / np.array([width, height, width, height])
                ours = list(boxes[np.argmax(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))])
            rows.append((finding.labels[0], *finding.box, *ours))
    corners = ("x_min", "y_min", "x_max", "y_max")
    return pd.DataFrame(rows, columns=["label", *(f"{a}{b}" for a in ("real_", "") for b in corners)])


def sides(table: pd.DataFrame, of: str = "") -> pd.Series:
    """Side of the square that covers the same share of the image."""
    return np.sqrt((table[f"{of}x_max"] - table[f"{of}x_min"]) * (table[f"{of}y_max"] - table[f"{of}y_min"]))


def offsets(table: pd.DataFrame, axis: str) -> pd.Series:
    """How far the middle of a written box lies from that of the real one, shares of the image."""
    ours, real = (table[f"{of}{axis}_min"] + table[f"{of}{axis}_max"] for of in ("", "real_"))
    return (ours - real) / 2


def test_nearly_every_box_is_drawn(pairs) -> None:
    assert len(pairs) > 300
    assert pairs["x_min"].notna().mean() > 0.97


def test_a_finding_is_drawn_where_the_real_box_was(pairs) -> None:
    free = pairs[~pairs["label"].isin(ANCHORED)].dropna()
    distance = np.hypot(offsets(free, "x"), offsets(free, "y"))
    assert distance.median() < 0.06, "a sixteenth of the image: the phantom's lung has one shape"
    assert distance.quantile(0.9) < 0.2
    for axis in ("x", "y"):
        middles = [free[f"{of}{axis}_min"] + free[f"{of}{axis}_max"] for of in ("", "real_")]
        assert np.corrcoef(*middles)[0, 1] > 0.85, axis


def test_hearts_and_aortas_lie_about_where_the_real_ones_do(pairs) -> None:
    for label in ANCHORED:
        mine = pairs[pairs["label"] == label].dropna()
        assert len(mine) > 50
        assert abs(offsets(mine, "x").median()) < 0.08, label
        assert abs(offsets(mine, "y").median()) < 0.08, label


def test_the_median_box_of_every_common_finding_is_about_as_large_as_the_real_one(pairs) -> None:
    medians = pairs.assign(ours=sides(pairs), real=sides(pairs, "real_")).groupby("label")[["ours", "real"]].median()
    counts = pairs["label"].value_counts()
    common = medians[counts.reindex(medians.index) >= 5]
    assert len(common) >= 9
    ratio = common["ours"] / common["real"]
    assert ratio.between(0.6, 1.7).all(), ratio.round(2).to_dict()


def test_all_boxes_together_are_as_large_as_the_real_ones(pairs) -> None:
    ours, theirs = (sides(pairs.dropna(), of).quantile(QUANTILES).to_numpy() for of in ("", "real_"))
    assert (np.maximum(ours / theirs, theirs / ours) < 1.4).all(), (ours.round(3), theirs.round(3))


def test_every_patch_has_a_box_of_its_own_and_a_speck_none() -> None:
    region = np.zeros((160, 130), bool)
    region[20:40, 10:30] = region[90:100, 80:95] = True  # two nodules
    region[41:43, 20:24] = True  # an island next to the first
    region[150:152, 60:62] = True  # a speck far from both
    found = write_vindr_cxr.boxes(Drawn(Finding("nodule"), region))
    assert sorted(found) == [(10, 20, 30, 43), (80, 90, 95, 100)]


def test_a_heart_is_boxed_over_its_whole_breadth_at_its_widest() -> None:
    rows, columns = np.mgrid[:160, :130]
    heart = ((rows - 100) / 30) ** 2 + ((columns - 70) / 40) ** 2 < 1
    ((x_min, y_min, x_max, y_max),) = write_vindr_cxr.boxes(Drawn(Finding("cardiomegaly"), heart))
    assert (x_min, x_max) == (31, 110)
    assert y_min <= 100 < y_max
    assert (x_max - x_min) / (y_max - y_min) > 2.5  # real median: 3

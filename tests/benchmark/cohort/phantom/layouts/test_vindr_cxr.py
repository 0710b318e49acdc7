"""The boxes of the phantom VinDr-CXR beside the 36,096 that three readers drew on 15,000 real images."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmark.cohort.phantom.findings.finding import Finding
from benchmark.cohort.phantom.layouts import vindr_cxr as write_vindr_cxr
from benchmark.cohort.phantom.render import Drawn
from benchmark.cohort.phantom.rendering import image_of
from benchmark.cohort.phantom.studies import choose
from benchmark.cohort.phantom.vocabulary import VINDR, VINDR_LOCAL
from benchmark.materials import contents

REAL_SIZE = (2446, 2788)
"""Width and height of a typical training image, pixels; the public table names no sizes of single ones."""
SIZE, STUDIES, SEED = 160, 900, 2025
"""The embedded default."""
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


def side(width: pd.Series, height: pd.Series) -> pd.Series:
    """Side of the square that covers the same share of the image."""
    return np.sqrt(width * height)


@pytest.fixture(scope="module")
def real(reports) -> pd.DataFrame:
    """finding, side of each real box as a share of the image."""
    table = contents.published_table("vinbigdata-train.csv.gz").dropna(subset=["x_min"])
    width, height = (table["x_max"] - table["x_min"]) / REAL_SIZE[0], (table["y_max"] - table["y_min"]) / REAL_SIZE[1]
    return pd.DataFrame({"finding": table["class_name"], "side": side(width, height)})


@pytest.fixture(scope="module")
def phantom(anatomy, reports) -> pd.DataFrame:
    """The same of every abnormal image of the embedded default."""
    rows = []
    for study in choose("vindr_cxr", reports, STUDIES, SEED):
        if not study.findings:
            continue
        image = image_of(anatomy, study, SIZE, SEED)
        height, width = image.grey.shape
        rows += [
            (label, (x_max - x_min) / width, (y_max - y_min) / height)
            for drawn in image.drawn
            for label in VINDR.get(drawn.finding.kind, ())
            if label in VINDR_LOCAL
            for x_min, y_min, x_max, y_max in write_vindr_cxr.boxes(drawn)
        ]
    table = pd.DataFrame(rows, columns=["finding", "width", "height"])
    return table.assign(side=side(table["width"], table["height"]))


def test_the_median_box_of_every_finding_is_within_twice_the_real_one(real, phantom) -> None:
    medians = pd.DataFrame(
        {"real": real.groupby("finding")["side"].median(), "phantom": phantom.groupby("finding")["side"].median()}
    ).dropna()
    assert len(medians) == 14  # all that the public table boxes
    ratio = medians["phantom"] / medians["real"]
    assert ratio.between(1 / 2, 2).all(), ratio.round(2).to_dict()
    assert 0.75 < np.exp(np.log(ratio).mean()) < 1.5  # typical finding


def test_all_boxes_together_are_as_large_as_the_real_ones(real, phantom) -> None:
    shared = phantom[phantom["finding"].isin(real["finding"])]
    # Each finding counts as often as it does in the real table: reports of another hospital name other findings.
    weight = shared["finding"].map(real["finding"].value_counts() / shared["finding"].value_counts())
    order = shared["side"].to_numpy().argsort()
    share = np.cumsum(weight.to_numpy()[order]) / weight.sum()
    ours = np.interp(QUANTILES, share, shared["side"].to_numpy()[order])
    theirs = real["side"].quantile(QUANTILES).to_numpy()
    assert (np.maximum(ours / theirs, theirs / ours) < 2).all(), (ours.round(3), theirs.round(3))
    assert (np.maximum(ours / theirs, theirs / ours)[1:] < 1.6).all(), (ours.round(3), theirs.round(3))


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

"""The floor of a normal AUC: what 256 pixels say, and nothing where nothing can be learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from sklearn.metrics import roc_auc_score

from benchmark.artifacts import cohort
from benchmark.evaluation import thumbnail


def test_a_thumbnail_is_the_mean_over_areas(here: Path) -> None:
    vindr = cohort.read("vindr_cxr", "test")
    found = thumbnail.pixels(vindr)
    assert found.shape == (len(vindr.rows), thumbnail.SIDE**2)
    side = thumbnail.SIDE
    for at, row in enumerate(vindr.rows[:5]):
        image = np.asarray(vindr.images[row]).astype(np.float64)
        expected = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA) / 255
        np.testing.assert_allclose(found[at], expected.ravel(), atol=1e-6)


def test_brightness_alone_is_found_and_scored_upwards_for_normal(here: Path) -> None:
    learnt = cohort.read("mimic_cxr", "train")
    images = np.array(learnt.images)
    dark = learnt.normal == 1
    images[learnt.rows[dark]] = 40
    images[learnt.rows[~dark]] = 200
    bright = replace(learnt, images=images)
    model = thumbnail.fit(bright)
    assert roc_auc_score(learnt.normal, thumbnail.scores(model, bright)) == 1
    assert thumbnail.scores(model, bright).dtype == np.float32


def test_one_class_alone_teaches_nothing(here: Path) -> None:
    learnt = cohort.read("mimic_cxr", "train")
    index = learnt.index.assign(normal=1)
    assert thumbnail.fit(replace(learnt, index=index)) is None
    assert (thumbnail.scores(None, learnt) == 0).all()

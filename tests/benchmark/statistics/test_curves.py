"""ROC curves against scikit-learn, ties and weights included."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import auc, roc_curve

from benchmark.statistics.bootstrap import draw, draw_seeds
from benchmark.statistics.curves import GRID, roc, roc_rows


def column(seed: int = 0, images: int = 400) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    normal = (generator.random(images) < 0.5).astype(float)
    return normal, np.round(generator.normal(size=images) + normal, 1)


def test_the_positive_class_is_disease() -> None:
    normal, scores = column()
    false, true, _ = roc_curve(1 - normal, -scores, drop_intermediate=False)
    found = roc(normal, scores)
    assert np.trapezoid(found, GRID) == pytest.approx(auc(false, true), abs=5e-3)
    assert (np.diff(found) >= 0).all()
    assert found[-1] == 1


def test_a_weight_is_a_repetition_and_an_unknown_label_takes_no_part() -> None:
    normal, scores = column()
    weights = np.random.default_rng(1).integers(0, 3, size=(len(normal), 2))
    for k in (0, 1):
        repeated = roc(np.repeat(normal, weights[:, k]), np.repeat(scores, weights[:, k]))
        np.testing.assert_allclose(roc(normal, scores, weights)[k], repeated)
    unknown = np.append(normal, np.nan)
    np.testing.assert_array_equal(roc(unknown, np.append(scores, 9.0)), roc(normal, scores))
    assert np.isnan(roc(np.ones(3), np.arange(3.0))).all()


def test_the_band_holds_the_curve_and_is_wider_for_seeds_that_differ() -> None:
    normal, scores = column()
    worse = np.random.default_rng(2).normal(size=len(normal))
    draws, drawn = draw(np.arange(len(normal)), 100, 0), draw_seeds(2, 100, 0)
    alike, apart = (
        roc_rows("d", "s", normal, pair, draws, drawn, 0.95) for pair in ([scores, scores], [scores, worse])
    )
    for rows in (alike, apart):
        assert (rows["low"] <= rows["sensitivity"] + 0.02).all()
        assert (rows["high"] >= rows["sensitivity"] - 0.02).all()
    assert (apart["high"] - apart["low"]).mean() > 1.5 * (alike["high"] - alike["low"]).mean()

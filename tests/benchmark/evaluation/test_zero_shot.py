"""Batching, row choice and precision must not change what an image scores."""

from pathlib import Path

import numpy as np
import pytest
import torch

from baselines import base
from benchmark.common.errors import UserError
from benchmark.evaluation.zero_shot import Scorer, require_finite
from benchmark.pipeline.settings import ScoringSettings
from tests.benchmark.evaluation.workspace import ENCODERS, SIZE, VOCABULARY

SENTENCES = ["There is no finding", "There is pleural effusion", "there is an opacity", "The lungs are clear"]
IMAGES = np.random.default_rng(0).integers(0, 256, (23, SIZE, SIZE), dtype=np.uint8)


def scored(scorer: Scorer, rows: np.ndarray) -> np.ndarray:
    texts = scorer.encode(SENTENCES)
    return np.concatenate([scorer.similarity(images, texts) for _, images in scorer.batches(IMAGES, rows)])


@pytest.fixture(scope="module", params=["clip", "carzero"])
def model(request: pytest.FixtureRequest) -> base.Baseline:
    torch.manual_seed(0)
    return base.load(request.param, ENCODERS, vocabulary=VOCABULARY).eval()


def test_an_image_scores_the_same_alone_and_in_a_batch(model: base.Baseline) -> None:
    rows = np.arange(len(IMAGES))
    together = scored(Scorer(model, batch_size=8), rows)
    alone = scored(Scorer(model, batch_size=1), rows)
    assert np.ptp(together, axis=0).min() > 1e-4  # the images do differ
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def test_a_sentence_scores_the_same_alone_and_among_others(model: base.Baseline) -> None:
    scorer, rows = Scorer(model), np.arange(5)
    together = scored(scorer, rows)
    ((_, images),) = scorer.batches(IMAGES, rows)
    for column, sentence in enumerate(SENTENCES):
        alone = scorer.similarity(images, scorer.encode([sentence]))
        np.testing.assert_allclose(alone[:, 0], together[:, column], rtol=0, atol=1e-5)


def test_rows_are_scored_in_the_order_asked_for(model: base.Baseline) -> None:
    scorer, rows = Scorer(model, batch_size=4), np.array([20, 3, 3, 11, 0, 7])
    np.testing.assert_allclose(scored(scorer, rows), scored(scorer, np.arange(23))[rows], rtol=0, atol=1e-5)


def test_scores_equal_the_models_own_on_pixels_in_the_unit_interval(model: base.Baseline) -> None:
    pixels = torch.from_numpy(IMAGES[:6, None].astype(np.float32) / 255)
    with torch.no_grad():
        expected = model.similarity(model.encode_images(pixels), model.encode_texts(model.tokenize(SENTENCES)))
    np.testing.assert_allclose(scored(Scorer(model), np.arange(6)), expected.numpy(), rtol=0, atol=1e-5)


def test_bfloat16_stays_near_float32(model: base.Baseline) -> None:
    rows = np.arange(len(IMAGES))
    exact, rounded = scored(Scorer(model), rows), scored(Scorer(model, precision="bfloat16"), rows)
    assert rounded.dtype == np.float32
    assert 0 < np.abs(rounded - exact).max() < 0.1 * max(1.0, np.abs(exact).max())


def test_nothing_that_is_not_a_number_becomes_a_rank() -> None:
    values = np.zeros((3, 2), np.float32)
    values[1, 1] = np.nan
    with pytest.raises(UserError, match=r"x: image 'b' and 'q' give nan; .*diverged"):
        require_finite(values, "x", ["a", "b", "c"], ["p", "q"])
    values[1, 1] = np.inf
    with pytest.raises(UserError, match="give inf"):
        require_finite(values, "x", ["a", "b", "c"], ["p", "q"])


def test_weights_that_are_missing_or_foreign_are_named(tmp_path: Path) -> None:
    settings = ScoringSettings()
    with pytest.raises(UserError, match=r"model.safetensors is missing; run `dvc repro`"):
        Scorer.restore(tmp_path / "model.safetensors", settings)
    (tmp_path / "model.safetensors").write_bytes(b"not a model")
    with pytest.raises(UserError, match="not a readable safetensors file"):
        Scorer.restore(tmp_path / "model.safetensors", settings)

"""The complete CARZero model against the released one, at both sizes."""

from __future__ import annotations

import math

import pytest
import torch

from baselines import carzero
from baselines.base import ImageFeatures, TextFeatures, load
from baselines.carzero import CARZero
from offclip.losses import info_nce
from tests import parity
from tests.baselines import full_size_step
from tests.baselines.conftest import ENCODERS, TEXTS, VOCABULARY


@pytest.fixture(scope="module")
def released(released_model: CARZero) -> tuple[CARZero, dict, ImageFeatures, TextFeatures]:
    """The full-size model with the released forward pass's parameters, its expected arrays and features."""
    expected = parity.arrays("similarity_full.npz")
    with torch.no_grad():
        images = released_model.encode_images(parity.normalised(expected["gray_u8"]))
        texts = released_model.encode_texts(
            released_model.text.batch(expected["input_ids"], expected["attention_mask"])
        )
    return released_model, expected, images, texts


@parity.needs_parity
def test_features_are_the_released_ones(released: tuple) -> None:
    _, expected, images, texts = released
    torch.testing.assert_close(images.pooled, expected["img_global"], **parity.FULL)
    torch.testing.assert_close(images.grid.mean((1, 2)), expected["img_local_mean_hw"], **parity.FULL)
    torch.testing.assert_close(texts.pooled, expected["txt_global"], **parity.FULL)
    torch.testing.assert_close(texts.words[:, :12].transpose(1, 2), expected["txt_local"], **parity.FULL)
    assert (texts.words[:, 12:] == 0).all()


@parity.needs_parity
def test_both_directions_and_the_loss_are_the_released_ones(released: tuple) -> None:
    model, expected, images, texts = released
    with torch.no_grad():
        image_to_text, text_to_image = model.pair_logits(images, texts)
    torch.testing.assert_close(image_to_text, expected["i2t"], **parity.FULL)
    torch.testing.assert_close(text_to_image.T, expected["t2i"], **parity.FULL)
    loss = info_nce(image_to_text) + info_nce(text_to_image)
    torch.testing.assert_close(loss, expected["loss"], **parity.FULL)


@parity.needs_parity
def test_zero_shot_scores_and_maps_are_the_released_ones(released: tuple) -> None:
    model, expected, images, _ = released
    with torch.no_grad():
        prompts = model.encode_texts(model.text.batch(expected["prompt_ids"], expected["prompt_mask"]))
        torch.testing.assert_close(model.similarity(images, prompts), expected["zero_shot_scores"], **parity.FULL)
        torch.testing.assert_close(model.heatmaps(images, prompts), expected["grounding_14"], **parity.FULL)


def _embedded() -> tuple[CARZero, ImageFeatures, TextFeatures]:
    torch.manual_seed(0)
    model = load("carzero", ENCODERS, {"layers": 2}, VOCABULARY).eval()
    assert isinstance(model, CARZero)
    with torch.no_grad():
        images = model.encode_images(torch.rand(5, 1, 48, 48))
        texts = model.encode_texts(model.tokenize(TEXTS))
    return model, images, texts


def test_scoring_in_chunks_of_images_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images, texts = _embedded()
    with torch.no_grad():
        whole = model.similarity(images, texts)
        monkeypatch.setattr(carzero, "PAIRS_AT_ONCE", 2 * len(texts))
        torch.testing.assert_close(model.similarity(images, texts), whole)


def test_heatmaps_are_attention_without_the_whole_image_and_cover_a_cropped_border() -> None:
    model, images, texts = _embedded()
    with torch.no_grad():
        maps = model.heatmaps(images, texts)
        bordered = model.heatmaps(ImageFeatures(images.pooled, images.grid, border=1), texts)
    assert maps.shape == (5, 5, 6, 6)
    assert ((maps >= 0) & (maps <= 1)).all()
    assert (maps.sum((2, 3)) < 1).all()
    assert bordered.shape == (5, 5, 8, 8)
    torch.testing.assert_close(bordered[:, :, 1:-1, 1:-1], maps)
    torch.testing.assert_close(bordered.sum(), maps.sum())


def test_published_starts_from_the_released_head_and_options_override_it() -> None:
    model = load("carzero", ENCODERS, {"published": True, "layers": 1}, VOCABULARY)
    assert isinstance(model, CARZero)
    assert (model.fusion.options.ffn, model.fusion.options.layers) == (1024, 1)
    assert model.fusion.options.shared_norm
    assert not model.fusion.options.mask_padding


@pytest.mark.parametrize("pairs", [2, pytest.param(full_size_step.PAIRS, marks=pytest.mark.chaos)])
def test_the_full_size_model_takes_a_training_step_on_a_cpu(pairs: int) -> None:
    taken = full_size_step.step(pairs)
    assert 0 < taken.loss < 2 * 2 * math.log(pairs)
    assert taken.unmoved == {"image.model.pos_embed"}

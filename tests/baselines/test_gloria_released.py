"""The released GLoRIA: the published arrays, each quirk's option, and files that are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor
from torch.nn import functional

from baselines import chexpert_prompts, gloria, released
from baselines.base import ImageFeatures, restore, save
from baselines.gloria_released import GLoRIAReleased, Sentences
from tests import parity
from tests.baselines import files

FOLDER = parity.RELEASED / "gloria"
SIMILARITY, WORDS = {"atol": 1e-5, "rtol": 0.0}, {"atol": 1e-4, "rtol": 0.0}
"""The tolerances of the arrays' README."""
pytestmark = parity.needs_released("gloria")


def _lightning(weights: dict[str, Tensor]) -> dict[str, Any]:
    """What Lightning 1.1 writes, the configuration as an OmegaConf object."""
    return {
        "epoch": 20,
        "pytorch-lightning_version": "1.1.4",
        "state_dict": weights,
        "callbacks": {},
        "optimizer_states": [{"state": {}, "param_groups": [{"lr": 5e-5}]}],
        "hyper_parameters": OmegaConf.create({"model": {"text": {"word_num": 97}}, "phase": "pretrain"}),
    }


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Names and shapes alone: what is refused, or is asked for its sentences, needs no values."""
    return parity.hollow("gloria_resnet50", FOLDER)


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    return parity.arrays("arrays.npz", FOLDER)


@pytest.fixture(scope="module")
def tokenizer(arrays: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    return files.vocabulary(arrays["vocab"].tolist(), tmp_path_factory.mktemp("gloria"))


@pytest.fixture(scope="module")
def model(tokenizer: str, tmp_path_factory: pytest.TempPathFactory) -> GLoRIAReleased:
    """Read from a file of the released structure, which is gone by the time the tests run."""
    path = tmp_path_factory.mktemp("gloria") / "chexpert_resnet50.ckpt"
    torch.save(_lightning(parity.filled("gloria_resnet50", FOLDER)), path)
    built = files.built("gloria_released", path, tokenizer)
    path.unlink()
    assert isinstance(built, GLoRIAReleased)
    return built


@pytest.fixture
def optioned(model: GLoRIAReleased) -> Any:
    """The model under other options; they are put back."""
    before = model.options

    def change(**options: Any) -> GLoRIAReleased:
        model.options = replace(before, **options)
        model.eval()
        return model

    yield change
    model.options = before
    model.eval()


@pytest.fixture(scope="module")
def pixels(arrays: dict[str, Any]) -> Tensor:
    """The arrays' crops within the margins that the model takes away."""
    return functional.pad(parity.normalised(arrays["gray_u8"]), [16] * 4)


@pytest.fixture(scope="module")
def images(model: GLoRIAReleased, pixels: Tensor) -> ImageFeatures:
    with torch.no_grad():
        return model.encode_images(pixels)


@pytest.fixture(scope="module")
def texts(model: GLoRIAReleased, arrays: dict[str, Any]) -> Sentences:
    with torch.no_grad():
        return model.encode_texts(model.tokenize(arrays["prompts"].tolist()))


def test_preprocessing_is_the_published_one(arrays: dict[str, Any]) -> None:
    """The fixture's third image is enlarged, which the cache never needs."""
    for j in (0, 1):
        grey, padded = arrays[f"prep_in_{j}"], arrays[f"prep_resized_{j}"]
        scale = 256 / max(grey.shape)
        height, width = (
            side if side == 256 else int(side * scale)
            for side in (256 if s == max(grey.shape) else s for s in grey.shape)
        )
        inner = released.resized(grey[None, None].float() / 255, height, width, "area")
        top, left = (256 - height) // 2, (256 - width) // 2
        square = functional.pad(inner, (left, 256 - width - left, top, 256 - height - top))
        difference = (square[0, 0] * 255 - padded).abs()
        assert difference.max() <= 1 + 1e-4
        assert (difference > 0.5).float().mean() < 0.001
        crop = released.cropped(padded[None, None].float(), 224)
        assert torch.equal(crop[0, 0], arrays[f"prep_tensor_ch0_{j}"].float())


def test_a_larger_cache_is_scaled_and_cropped_as_published(model: GLoRIAReleased, pixels: Tensor) -> None:
    twice = pixels[:1].repeat_interleave(2, 2).repeat_interleave(2, 3)
    with torch.no_grad():
        torch.testing.assert_close(model.encode_images(twice).pooled, model.encode_images(pixels[:1]).pooled)


def test_image_features_are_the_published_ones(images: ImageFeatures, arrays: dict[str, Any]) -> None:
    torch.testing.assert_close(images.pooled, arrays["img_global"], **SIMILARITY)
    local = images.grid.permute(0, 3, 1, 2)
    torch.testing.assert_close(local[:, :, ::6, ::6], arrays["img_local_sub"], **SIMILARITY)
    torch.testing.assert_close(local.mean(1), arrays["img_local_mean_c"], **SIMILARITY)


def test_tokens_and_text_features_are_the_published_ones(
    model: GLoRIAReleased, texts: Sentences, arrays: dict[str, Any]
) -> None:
    tokens = model.tokenize(arrays["prompts"].tolist())
    assert torch.equal(tokens.ids, arrays["input_ids"])
    assert torch.equal(tokens.characters, arrays["cap_lens"])
    assert torch.equal(texts.mask.sum(1) - 2, arrays["word_counts"])
    torch.testing.assert_close(texts.pooled, arrays["txt_global"], **WORDS)
    torch.testing.assert_close(texts.words[:, :12].mT, arrays["txt_local_first12"], **WORDS)
    assert torch.equal(model.tokenize(["edema", "normal heart"]).ids[:, :8], arrays["single_word_ids"])


def test_scores_are_the_published_ones(
    model: GLoRIAReleased, images: ImageFeatures, texts: Sentences, arrays: dict[str, Any]
) -> None:
    with torch.no_grad():
        local, whole = model.pair_logits(images, texts)
        torch.testing.assert_close(whole, arrays["global_similarity"], **SIMILARITY)
        torch.testing.assert_close(local, arrays["local_similarity"], **SIMILARITY)
        torch.testing.assert_close(model.similarity(images, texts), arrays["similarity_both"], **SIMILARITY)


def test_words_alone_in_the_local_score_are_an_option(
    optioned: Any, images: ImageFeatures, arrays: dict[str, Any]
) -> None:
    model = optioned(local_words="words")
    with torch.no_grad():
        texts = model.encode_texts(model.tokenize(arrays["prompts"].tolist()))
        local = model.local_similarity(images, texts)
    torch.testing.assert_close(local, arrays["local_similarity_wordcount"], **SIMILARITY)


def test_the_class_score_and_its_standardising_over_the_test_set_are_the_published_ones(
    optioned: Any, images: ImageFeatures, texts: Sentences, arrays: dict[str, Any]
) -> None:
    with torch.no_grad():
        scores = optioned().similarity(images, texts)
    classes = torch.stack([scores[:, arrays["prompt_class"] == k].amax(1) for k in range(4)], dim=1)
    torch.testing.assert_close(classes, arrays["class_similarity_unnormalised"], **SIMILARITY)
    assert torch.equal(optioned().across_images(classes), classes)
    standardised = optioned(standardise=True).across_images(classes)
    torch.testing.assert_close(standardised.double(), arrays["zero_shot"], **WORDS)
    alone = optioned(standardise=True).across_images(classes[:1])
    torch.testing.assert_close(alone.double(), arrays["zero_shot_single_image"], **WORDS)


def test_batch_statistics_are_an_option_and_leave_the_weights_alone(
    optioned: Any, pixels: Tensor, texts: Sentences, arrays: dict[str, Any]
) -> None:
    model = optioned(batch_statistics=True)
    before = {name: tensor.clone() for name, tensor in model.image.state_dict().items()}
    with torch.no_grad():
        scores = model.similarity(model.encode_images(pixels), texts)
    torch.testing.assert_close(scores[:, :2], arrays["similarity_both_batchstats_class0"], **SIMILARITY)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.image.state_dict().items())


def test_attention_maps_are_the_published_ones(
    model: GLoRIAReleased, images: ImageFeatures, texts: Sentences, arrays: dict[str, Any]
) -> None:
    maps, words = model.attention_maps(images, texts)
    assert words.counts.tolist() == arrays["attn_maps_lens"].tolist()
    for place, prompt in enumerate((0, 2, 5)):
        mine = maps[:, words.owner == prompt][:, :7]
        torch.testing.assert_close(mine, arrays["attn_maps"][:, place, : mine.shape[1]], **SIMILARITY)


def test_heatmaps_cover_the_whole_image_and_are_zero_in_its_margins(
    model: GLoRIAReleased, images: ImageFeatures, texts: Sentences
) -> None:
    heatmaps = model.heatmaps(images, texts)
    assert heatmaps.shape == (3, 6, 32, 32)
    assert heatmaps[..., :2, :].abs().max() == heatmaps[..., -2:].abs().max() == 0
    assert heatmaps[..., 2:-2, 2:-2].min() > 0
    maps, words = model.attention_maps(images, texts)
    mean = maps[:, words.owner == 2].mean(1, keepdim=True)
    expected = functional.interpolate(mean, (28, 28), mode="bilinear")[:, 0]
    torch.testing.assert_close(heatmaps[:, 2, 2:-2, 2:-2], expected)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_local_score_equals_the_trainable_models_literal_attention(model: GLoRIAReleased, scale: float) -> None:
    """Words in packed form, contexts never made, against padded words and their contexts; up to dots of hundreds."""
    generator = torch.Generator().manual_seed(0)
    lengths, slots = torch.tensor([3, 8, 2, 5]), torch.tensor([2, 20, 1, 4])
    mask = torch.arange(97) < lengths[:, None]
    words = scale * torch.randn(4, 97, 32, generator=generator) * mask[..., None]
    cells = torch.randn(5, 19, 19, 32, generator=generator)
    images = ImageFeatures(cells.mean((1, 2)), cells)
    found = model.local_similarity(images, Sentences(words.mean(1), words, mask, slots))
    for text in range(4):
        spoken = words[text : text + 1, 1 : slots[text] + 1]
        _, context = gloria.attend(spoken, cells.flatten(1, 2), torch.ones(spoken.shape[:2], dtype=torch.bool), 4.0)
        expected = 5 * functional.cosine_similarity(context, spoken, dim=-1)[:, 0].amax(1)
        torch.testing.assert_close(found[:, text], expected, atol=1e-5, rtol=1e-4)


def test_a_pair_alone_is_the_pair_in_a_batch_and_scores_are_the_same_to_the_bit_twice(
    model: GLoRIAReleased, images: ImageFeatures, texts: Sentences, pixels: Tensor, arrays: dict[str, Any]
) -> None:
    prompts = arrays["prompts"].tolist()
    with torch.no_grad():
        together = model.similarity(images, texts)
        again = model.similarity(model.encode_images(pixels), model.encode_texts(model.tokenize(prompts)))
        assert torch.equal(again, together)
        for row, column in ((0, 1), (2, 4)):
            alone = model.encode_images(pixels[row : row + 1]), model.encode_texts(model.tokenize([prompts[column]]))
            torch.testing.assert_close(model.similarity(*alone)[0, 0], together[row, column], **SIMILARITY)
            heatmap = model.heatmaps(*alone)[0, 0]
            torch.testing.assert_close(heatmap, model.heatmaps(images, texts)[row, column], **SIMILARITY)


def test_empty_one_word_and_endless_texts_are_scored(model: GLoRIAReleased, images: ImageFeatures) -> None:
    """The published code breaks on more than 96 characters; here the 96 slots that exist take part."""
    longest = max(chexpert_prompts.combinations()["cardiomegaly"], key=len)
    with torch.no_grad():
        texts = model.encode_texts(model.tokenize(["", "edema", longest, "There is no finding. " * 40]))
        assert texts.slots.tolist() == [1, 5, 96, 96]
        assert torch.isfinite(model.similarity(images, texts)).all()
        assert torch.isfinite(model.heatmaps(images, texts)).all()


def test_what_was_saved_needs_the_released_file_no_more(
    model: GLoRIAReleased, images: ImageFeatures, texts: Sentences, tmp_path: Path
) -> None:
    save(model, tmp_path / "model.safetensors")
    again = restore(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    with torch.no_grad():
        assert torch.equal(again.similarity(images, texts), model.similarity(images, texts))
    assert not again.training
    assert again.vocabulary == model.vocabulary


def test_a_small_cache_and_training_are_refused(model: GLoRIAReleased) -> None:
    with pytest.raises(
        ValueError, match=r"^GLoRIA \(released\) reads images of 256 pixels, the cache holds 224; set `coh"
    ):
        model.encode_images(torch.zeros(1, 1, 224, 224))
    with pytest.raises(ValueError, match="evaluated only; it cannot be trained"):
        model.train()


def test_wrong_truncated_and_malicious_files_are_refused(
    weights: dict[str, Tensor], tokenizer: str, tmp_path: Path
) -> None:
    named = {name: tensor for name, tensor in weights.items() if "global_embedder" in name} | weights
    files.refused("gloria_released", tokenizer, tmp_path, _lightning, named)


def test_older_and_newer_files_differ_in_index_buffers_alone(
    weights: dict[str, Tensor], tokenizer: str, tmp_path: Path
) -> None:
    zeros = dict(weights)
    assert len(zeros) == 521
    zeros.pop("gloria.text_encoder.model.embeddings.position_ids")
    torch.save(_lightning(zeros), tmp_path / "x.ckpt")
    files.built("gloria_released", tmp_path / "x.ckpt", tokenizer)
    torch.save(_lightning({**zeros, "img_encoder.model.bn1.bias": torch.zeros(64)}), tmp_path / "x.ckpt")
    with pytest.raises(ValueError, match="holds some of GLoRIA's tensors twice"):
        files.built("gloria_released", tmp_path / "x.ckpt", tokenizer)


def test_own_prompts_are_five_a_finding_and_the_best_counts(
    weights: dict[str, Tensor], tokenizer: str, tmp_path: Path
) -> None:
    torch.save(_lightning(weights), tmp_path / "x.ckpt")
    model = files.built("gloria_released", tmp_path / "x.ckpt", tokenizer, prompts="own")
    own = model.sentences("Pleural Effusion", ("There is pleural effusion",))
    assert len(own) == 5
    assert set(own) <= set(chexpert_prompts.combinations()["pleural effusion"])
    assert model.sentences("Fracture", ("There is fracture",)) == ("There is fracture",)
    assert model.own_pooling == "max"

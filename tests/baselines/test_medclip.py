"""The released MedCLIP, both vision towers: the published arrays, each quirk's option, and files that are refused."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from baselines import chexpert_prompts, released
from baselines.base import TextFeatures, restore, save
from baselines.medclip import MedCLIP
from tests import parity
from tests.baselines import files

FOLDER = parity.RELEASED / "medclip"
TOLERANCE = {"atol": 1e-5, "rtol": 0.0}
"""Of the arrays' README, for scores and embeddings."""
TOWERS = ("vit", "resnet")
pytestmark = parity.needs_released("medclip")


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    return parity.arrays("arrays.npz", FOLDER)


@pytest.fixture(scope="module")
def tokenizer(arrays: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    return files.vocabulary(arrays["vocab"].tolist(), tmp_path_factory.mktemp("medclip"))


@pytest.fixture(scope="module", params=TOWERS)
def model(request: Any, tokenizer: str, tmp_path_factory: pytest.TempPathFactory) -> MedCLIP:
    """Read from a file of the released structure, which is gone by the time the tests run."""
    path = tmp_path_factory.mktemp("medclip") / "pytorch_model.bin"
    torch.save(parity.filled(f"medclip_{request.param}", FOLDER), path)
    built = files.built("medclip", path, tokenizer)
    path.unlink()
    assert isinstance(built, MedCLIP)
    assert built.options.vision == request.param
    return built


@pytest.fixture
def together(model: MedCLIP) -> Any:
    """The model with padding in the mean, as published; put back afterwards."""
    before = model.options
    model.options = replace(before, padding="together")
    yield model
    model.options = before


def _by_class(model: MedCLIP, arrays: dict[str, Any]) -> TextFeatures:
    """The prompts as published: those of one class at a time."""
    prompts, classes = arrays["prompts"].tolist(), arrays["prompt_class"].tolist()
    parts = []
    for number in range(4):
        tokens = model.tokenize([text for text, k in zip(prompts, classes, strict=True) if k == number])
        length = tokens.ids.shape[1]
        assert torch.equal(tokens.ids, arrays["input_ids"][arrays["prompt_class"] == number][:, :length])
        with torch.no_grad():
            parts.append(model.encode_texts(tokens))
    return TextFeatures.cat(parts)


@pytest.mark.parametrize("image", "abc")
def test_preprocessing_is_the_published_one_to_the_bit(arrays: dict[str, Any], image: str) -> None:
    grey = arrays[f"prep_in_{image}"]
    height, width = grey.shape
    side = max(224, height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = functional.pad(grey[None, None], (left, side - width - left, top, side - height - top)).float() / 255
    for variant, interpolation in (("processor", "bicubic"), ("dataset", "bilinear")):
        found = released.resized(square, 224, 224, interpolation)[0, 0] * 255
        torch.testing.assert_close(found, arrays[f"prep_{variant}_u8_{image}"].float(), atol=1e-4, rtol=0)


def test_embeddings_and_scores_are_the_published_ones(together: MedCLIP, arrays: dict[str, Any]) -> None:
    name = together.options.vision
    texts = _by_class(together, arrays)
    torch.testing.assert_close(texts.pooled, arrays["text_embeds"], **TOLERANCE)
    with torch.no_grad():
        images = together.encode_images(parity.normalised(arrays["gray_u8"]))
        torch.testing.assert_close(images.pooled, arrays[f"{name}_img_embeds"], **TOLERANCE)
        scores = together.similarity(images, texts)
    torch.testing.assert_close(scores, arrays[f"{name}_logits_per_prompt"], **TOLERANCE)
    own = [scores[:, arrays["prompt_class"] == number] for number in range(4)]
    mean = torch.stack([part.mean(1) for part in own], dim=1)
    torch.testing.assert_close(mean, arrays[f"{name}_class_logits_ensemble"], **TOLERANCE)
    best = torch.stack([part.amax(1) for part in own], dim=1)
    torch.testing.assert_close(best, arrays[f"{name}_class_logits_max"], **TOLERANCE)


def test_a_text_is_by_default_what_it_is_alone(model: MedCLIP, arrays: dict[str, Any]) -> None:
    prompts = arrays["prompts"].tolist()
    with torch.no_grad():
        texts = model.encode_texts(model.tokenize([*prompts, "no finding " * 60]))
        torch.testing.assert_close(texts.pooled[3:6], arrays["text_embeds_cardiomegaly_each_alone"], **TOLERANCE)
        images = model.encode_images(parity.normalised(arrays["gray_u8"]))
        scores = model.similarity(images, texts)
        for row, column in ((0, 1), (2, 4)):
            pixels = parity.normalised(arrays["gray_u8"][row : row + 1])
            alone = model.encode_images(pixels), model.encode_texts(model.tokenize([prompts[column]]))
            torch.testing.assert_close(model.similarity(*alone)[0, 0], scores[row, column], **TOLERANCE)


def test_padding_moves_a_text_where_it_enters_the_mean(together: MedCLIP, arrays: dict[str, Any]) -> None:
    prompts = arrays["prompts"].tolist()
    with torch.no_grad():
        short, padded = (together.encode_texts(together.tokenize(texts)) for texts in (prompts[4:5], prompts[3:5]))
    assert 0.01 < (short.pooled[0] - padded.pooled[1]).abs().max() < 0.05


def test_scores_are_the_same_to_the_bit_twice_and_from_a_saved_model(
    model: MedCLIP, arrays: dict[str, Any], tmp_path: Path
) -> None:
    pixels = parity.normalised(arrays["gray_u8"])

    def scores(of: Any) -> Tensor:
        with torch.no_grad():
            return of.similarity(of.encode_images(pixels), of.encode_texts(of.tokenize(arrays["prompts"].tolist())))

    save(model, tmp_path / "model.safetensors")
    again = restore(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    assert torch.equal(scores(model), scores(model))
    assert torch.equal(scores(again), scores(model))


def test_a_larger_cache_is_resized_and_a_smaller_one_refused(model: MedCLIP) -> None:
    smooth = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    pixels = functional.interpolate(smooth, (448, 448), mode="bicubic").clamp(0, 1)
    small = released.resized(pixels, 224, 224, "bilinear")
    with torch.no_grad():
        assert torch.equal(model.encode_images(pixels).pooled, model.encode_images(small).pooled)
    with pytest.raises(
        ValueError, match=r"^MedCLIP reads images of 224 pixels, the cache holds 64; set `cohort\.size: 224"
    ):
        model.encode_images(torch.zeros(1, 1, 64, 64))


def test_there_is_no_heatmap_and_no_training(model: MedCLIP, arrays: dict[str, Any]) -> None:
    assert not model.publishes_heatmaps
    with torch.no_grad():
        texts = model.encode_texts(model.tokenize(["", "There is no finding"]))
        images = model.encode_images(parity.normalised(arrays["gray_u8"]))
        assert torch.isfinite(model.similarity(images, texts)).all()
    with pytest.raises(ValueError, match=r"^MedCLIP: no heatmap published\.$"):
        model.heatmaps(images, texts)
    with pytest.raises(ValueError, match="evaluated only; it cannot be trained"):
        model.train()


@pytest.mark.parametrize("tower", TOWERS)
def test_wrong_truncated_malicious_and_packed_files_are_refused(tower: str, tokenizer: str, tmp_path: Path) -> None:
    weights = parity.hollow(f"medclip_{tower}", FOLDER)
    assert len(weights) == {"vit": 434, "resnet": 521}[tower]
    files.refused("medclip", tokenizer, tmp_path, dict, weights)
    torch.save(weights, tmp_path / "pytorch_model.bin")
    other = {"vit": "resnet", "resnet": "vit"}[tower]
    with pytest.raises(ValueError, match=r"is not the released file: missing .* unexpected vision_model\.model\."):
        files.built("medclip", tmp_path / "pytorch_model.bin", tokenizer, vision=other)
    with zipfile.ZipFile(tmp_path / "medclip.zip", "w") as packed:
        packed.write(tmp_path / "pytorch_model.bin", "medclip/pytorch_model.bin")
    with pytest.raises(
        ValueError, match=r"medclip\.zip is still packed; unpack it and give its medclip/pytorch_model\.bin"
    ):
        files.built("medclip", tmp_path / "medclip.zip", tokenizer)


def test_own_prompts_are_all_published_ones_and_their_mean_or_best_counts(tokenizer: str, tmp_path: Path) -> None:
    torch.save(parity.hollow("medclip_resnet", FOLDER), tmp_path / "x.bin")
    model = files.built("medclip", tmp_path / "x.bin", tokenizer, prompts="own")
    own = model.sentences("Pleural effusion", ("There is pleural effusion",))
    assert own == chexpert_prompts.combinations()["pleural effusion"]
    pneumonia = model.sentences("Pneumonia", ("There is pneumonia",))
    assert len(pneumonia) == 312
    assert pneumonia[0] == "round bacterial at the mid lung zone"
    assert model.own_pooling == "mean"
    assert files.built("medclip", tmp_path / "x.bin", tokenizer, ensemble=False).own_pooling == "max"

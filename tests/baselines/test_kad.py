"""The released KAD of 512 and of 224 pixels: the published arrays, its option, and files that are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines import kad, released
from baselines.base import ImageFeatures, TextFeatures, restore, save
from baselines.kad import KAD
from tests import parity
from tests.baselines import files

FOLDER = parity.RELEASED / "kad"
TOLERANCE, LAYERS = {"atol": 1e-5, "rtol": 0.0}, {"atol": 1e-4, "rtol": 0.0}
"""Of the arrays' README: scores and embeddings; hidden states of BERT and of the decoder."""
pytestmark = parity.needs_released("kad")


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    return parity.arrays("arrays.npz", FOLDER)


@pytest.fixture(scope="module")
def tokenizer(arrays: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    return files.vocabulary(arrays["vocab"].tolist(), tmp_path_factory.mktemp("kad"))


def _weights(size: int, made: Callable[[str, Path], dict[str, Tensor]] = parity.filled) -> dict[str, Tensor]:
    """The tensors of the file of ``size``, the parts' names before theirs."""
    weights = made("kad_512", FOLDER)
    if size == 224:
        weights = parity.without(weights, "image_encoder.") | made("kad_224_image_encoder", FOLDER)
    return weights


def _file(weights: dict[str, Tensor]) -> dict[str, Any]:
    """What the training code saves."""
    parts: dict[str, Any] = {part: {} for part in kad.PARTS}
    for name, tensor in weights.items():
        part, _, own = name.partition(".")
        parts[part][own] = tensor
    optimizer = {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-4}]}
    return parts | {"optimizer": optimizer, "lr_scheduler": {"base_values": [1e-4]}, "config": {"d": 768}, "epoch": 42}


def _wrap(weights: dict[str, Tensor]) -> dict[str, Any]:
    """``_file``, where a tensor of no part lies at the top."""
    own = {name: tensor for name, tensor in weights.items() if name.startswith(tuple(f"{p}." for p in kad.PARTS))}
    return _file(own) | {name: tensor for name, tensor in weights.items() if name not in own}


def _read(size: int, tokenizer: str, folder: Path, **options: Any) -> KAD:
    path = folder / "best_valid.pt"
    torch.save(_file(_weights(size)), path)
    built = files.built("kad", path, tokenizer, **options)
    path.unlink()
    assert isinstance(built, KAD)
    assert built.input_size == built.options.size == size
    return built


@pytest.fixture(scope="module")
def model(tokenizer: str, tmp_path_factory: pytest.TempPathFactory) -> KAD:
    """Read from a file of the released structure, which is gone by the time the tests run."""
    return _read(512, tokenizer, tmp_path_factory.mktemp("kad"))


@pytest.fixture
def together(model: KAD) -> Iterator[KAD]:
    """The model whose queries attend to each other, as published; put back afterwards."""
    before = model.options
    model.options = replace(before, queries="together")
    yield model
    model.options = before


@pytest.fixture(scope="module")
def images(model: KAD, arrays: dict[str, Any]) -> ImageFeatures:
    with torch.no_grad():
        return model.encode_images(parity.normalised(arrays["gray_u8"]))


@pytest.fixture(scope="module")
def texts(model: KAD, arrays: dict[str, Any]) -> TextFeatures:
    with torch.no_grad():
        return model.encode_texts(model.tokenize(arrays["prompts"].tolist()))


@pytest.mark.parametrize(
    ("image", "variant", "size"),
    [
        ("a", "shortside224", (224, 306)),
        ("a", "squash224", (224, 224)),
        ("b", "shortside224", (306, 224)),
        ("b", "squash224", (224, 224)),
    ],
)
def test_preprocessing_is_the_published_one_to_the_bit(
    arrays: dict[str, Any], image: str, variant: str, size: tuple[int, int]
) -> None:
    found = released.resized(parity.normalised(arrays[f"prep_in_{image}"][None]), *size, "bicubic")[0, 0] * 255
    torch.testing.assert_close(found, arrays[f"prep_{variant}_{image}"].float(), atol=1e-4, rtol=0)


def test_sixteen_bits_are_squashed_as_published_once_they_are_eight(arrays: dict[str, Any]) -> None:
    deep = arrays["prep_in_u16"].numpy().astype(np.float64)
    grey = torch.from_numpy((deep / deep.max() * 255).astype(np.uint8))
    found = released.resized(parity.normalised(grey[None]), 224, 224, "bicubic")[0, 0] * 255
    torch.testing.assert_close(found, arrays["prep_padchest224_u16"].float(), atol=1e-4, rtol=0)


def test_towers_are_the_published_ones(model: KAD, arrays: dict[str, Any], images: ImageFeatures) -> None:
    tokens = model.tokenize(arrays["prompts"].tolist())
    length = tokens.ids.shape[1]
    assert torch.equal(tokens.ids, arrays["input_ids"][:, :length])
    assert torch.equal(tokens.mask.long(), arrays["attention_mask"][:, :length])
    with torch.no_grad():
        hidden = model.text.model(tokens.ids, tokens.mask.long()).last_hidden_state
        pooler, pooled = torch.tanh(model.pooler(hidden[:, 0])), model.encode_texts(tokens).pooled
    stands = tokens.mask[:, :8]
    expected = arrays["bert_last_hidden_sample"][:, : stands.shape[1]]
    torch.testing.assert_close(hidden[:, :8, :64][stands], expected[stands], **LAYERS)
    torch.testing.assert_close(pooler, arrays["bert_pooler"], **TOLERANCE)
    torch.testing.assert_close(pooled, arrays["text_features"], **TOLERANCE)
    flat = images.grid.flatten(1, 2)
    torch.testing.assert_close(flat[:, ::16], arrays["image_tokens_sub"], **TOLERANCE)
    torch.testing.assert_close(flat.mean(2), arrays["image_tokens_mean_c"], **TOLERANCE)
    torch.testing.assert_close(images.pooled, arrays["image_pool"], **TOLERANCE)


def test_scores_of_queries_asked_together_are_the_published_ones(
    together: KAD, arrays: dict[str, Any], images: ImageFeatures, texts: TextFeatures
) -> None:
    flat = images.grid.flatten(1, 2)
    with torch.no_grad():
        torch.testing.assert_close(together.query.norm(flat)[:, ::16], arrays["normed_memory_sub"], **LAYERS)
        torch.testing.assert_close(together.query.norm(texts.pooled), arrays["normed_query"], **LAYERS)
        decoded = together.query(flat, texts.pooled, True)
        torch.testing.assert_close(decoded, arrays["decoder_out"], **LAYERS)
        torch.testing.assert_close(together.query.head(decoded), arrays["logits"], **TOLERANCE)
        torch.testing.assert_close(together.similarity(images, texts), arrays["prob_positive"], **TOLERANCE)
        attention = together.query.attention(flat, texts.pooled, True)
    torch.testing.assert_close(attention, arrays["attention_layers"][-1], **TOLERANCE)


def test_the_default_score_is_that_of_the_query_alone(
    model: KAD, arrays: dict[str, Any], images: ImageFeatures, texts: TextFeatures
) -> None:
    with torch.no_grad():
        scores = model.similarity(images, texts)
        torch.testing.assert_close(scores, arrays["prob_positive_alone"], **TOLERANCE)
        assert (scores - arrays["prob_positive"]).abs().max() > 0.02
        for row, column in ((0, 1), (1, 3)):
            alone = images[row : row + 1], texts[column : column + 1]
            torch.testing.assert_close(model.similarity(*alone)[0, 0], scores[row, column], **TOLERANCE)
        pixels = parity.normalised(arrays["gray_u8"][1:])
        prompt = model.encode_texts(model.tokenize([str(arrays["prompts"][0])]))
        afresh = model.similarity(model.encode_images(pixels), prompt)
    torch.testing.assert_close(afresh[0, 0], scores[1, 0], **TOLERANCE)


def test_scores_in_chunks_are_those_of_all_images_at_once(
    model: KAD, images: ImageFeatures, texts: TextFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.no_grad():
        whole = model.similarity(images, texts)
        monkeypatch.setattr(kad, "PAIRS_AT_ONCE", 4)
        torch.testing.assert_close(model.similarity(images, texts), whole, **TOLERANCE)


def test_heatmaps_are_the_published_attention_over_its_maximum(
    together: KAD, arrays: dict[str, Any], images: ImageFeatures, texts: TextFeatures
) -> None:
    with torch.no_grad():
        maps = together.heatmaps(images, texts)
    expected = arrays["attention_layers"][-1]
    expected = expected / expected.amax(-1, keepdim=True)
    torch.testing.assert_close(maps, expected.unflatten(-1, (16, 16)), **LAYERS)


def test_the_release_of_224_pixels_reads_stage_three(arrays: dict[str, Any], tokenizer: str, tmp_path: Path) -> None:
    small = _read(224, tokenizer, tmp_path, queries="together")
    with torch.no_grad():
        images = small.encode_images(parity.normalised(arrays["r224_gray_u8"]))
        texts = small.encode_texts(small.tokenize(arrays["prompts"].tolist()))
        flat = images.grid.flatten(1, 2)
        torch.testing.assert_close(flat[:, ::28], arrays["r224_image_tokens_sub"], **TOLERANCE)
        torch.testing.assert_close(images.pooled, arrays["r224_image_pool"], **TOLERANCE)
        torch.testing.assert_close(small.similarity(images, texts), arrays["r224_prob_positive"], **TOLERANCE)
        attention = small.query.attention(flat, texts.pooled, True)
        torch.testing.assert_close(attention, arrays["r224_attention"], **TOLERANCE)
        decoded = small.query(flat, texts.pooled, True)
        torch.testing.assert_close(small.query.head(decoded), arrays["r224_logits"], **TOLERANCE)


def test_scores_are_the_same_to_the_bit_twice_and_from_a_saved_model(
    model: KAD, arrays: dict[str, Any], tmp_path: Path
) -> None:
    def scores(of: Any) -> Tensor:
        with torch.no_grad():
            images = of.encode_images(parity.normalised(arrays["gray_u8"]))
            return of.similarity(images, of.encode_texts(of.tokenize(arrays["prompts"].tolist())))

    save(model, tmp_path / "model.safetensors")
    again = restore(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    assert torch.equal(scores(model), scores(model))
    assert torch.equal(scores(again), scores(model))


def test_a_smaller_cache_is_refused_and_training_too(model: KAD) -> None:
    with pytest.raises(ValueError, match=r"^KAD reads images of 512 pixels, the cache holds 256; set `cohort\.size"):
        model.encode_images(torch.zeros(1, 1, 256, 256))
    with pytest.raises(ValueError, match="evaluated only; it cannot be trained"):
        model.train()


def test_the_empty_text_has_a_score_and_a_findings_bare_name_is_its_own_prompt(
    model: KAD, images: ImageFeatures, tokenizer: str, tmp_path: Path
) -> None:
    with torch.no_grad():
        texts = model.encode_texts(model.tokenize(["", "There is no finding"]))
        assert torch.isfinite(model.similarity(images, texts)).all()
    assert model.sentences("Pleural effusion", ("There is pleural effusion",)) == ("There is pleural effusion",)
    torch.save(_file(_weights(512, parity.hollow)), tmp_path / "x.pt")
    own = files.built("kad", tmp_path / "x.pt", tokenizer, prompts="own")
    assert own.sentences("Pleural effusion", ("There is pleural effusion",)) == ("pleural effusion",)


@pytest.mark.parametrize("size", [512, 224])
def test_wrong_truncated_and_malicious_files_are_refused(size: int, tokenizer: str, tmp_path: Path) -> None:
    weights = _weights(size, parity.hollow)
    assert len(weights) == {512: 926, 224: 866}[size]
    files.refused("kad", tokenizer, tmp_path, _wrap, weights)


def test_duplicates_that_differ_and_another_size_are_refused(tokenizer: str, tmp_path: Path) -> None:
    path = tmp_path / "best_valid.pt"
    weights = _weights(512, parity.hollow)
    torch.save(_file(weights | {"image_encoder.res_features.1.bias": torch.ones(64)}), path)
    with pytest.raises(
        ValueError,
        match=r"different values under image_encoder\.res_features\.1\.bias and image_encoder\.resnet\.bn1\.bias",
    ):
        files.built("kad", path, tokenizer)
    torch.save(_file(weights), path)
    with pytest.raises(ValueError, match=r"best_valid\.pt is a model of 512 or 1024 pixels; set `model_options\.size`"):
        files.built("kad", path, tokenizer, size=224)
    with pytest.raises(ValueError, match=r"`model_options\.size` must be one of 224, 512, 1024, found 300"):
        files.built("kad", path, tokenizer, size=300)
    with pytest.raises(ValueError, match=r"`model_options\.queries` must be .*alone.*together"):
        files.built("kad", path, tokenizer, queries="alon")
    large = files.built("kad", path, tokenizer, size=1024)
    with pytest.raises(ValueError, match="KAD reads images of 1024 pixels, the cache holds 512"):
        large.require_size(512)
    torch.save(_file(_weights(224, parity.hollow)), path)
    with pytest.raises(ValueError, match=r"best_valid\.pt is a model of 224 pixels; set `model_options\.size`"):
        files.built("kad", path, tokenizer, size=512)

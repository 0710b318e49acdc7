"""The released RadZero: the published arrays, its options, and files that are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from baselines import radzero, released
from baselines.base import ImageFeatures, TextFeatures, restore, save
from baselines.radzero import RadZero
from tests import parity
from tests.baselines import files

FOLDER = parity.RELEASED / "radzero"
TOLERANCE = {"atol": 1e-4, "rtol": 0.0}
"""Of the arrays' README, for logits and maps."""
pytestmark = parity.needs_released("radzero")


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    return parity.arrays("arrays.npz", FOLDER)


@pytest.fixture(scope="module")
def tokenizer(arrays: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A snapshot's folder with the normalisation that the arrays were made with."""
    folder = files.vocabulary(arrays["vocab"].tolist(), tmp_path_factory.mktemp("radzero"))
    numbers = {"image_mean": arrays["mean"].tolist(), "image_std": arrays["std"].tolist()}
    (Path(folder) / radzero.PROCESSOR).write_text(json.dumps(numbers))
    return folder


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """Names and shapes alone: what is refused, or is asked for its options, needs no values."""
    hollow = parity.hollow("radzero", FOLDER)
    assert len(hollow) == 461
    return hollow


@pytest.fixture(scope="module")
def model(tokenizer: str, tmp_path_factory: pytest.TempPathFactory) -> RadZero:
    """Read from a file of the released structure, which is gone by the time the tests run."""
    path = tmp_path_factory.mktemp("radzero") / "pytorch_model.bin"
    torch.save(parity.filled("radzero", FOLDER), path)
    built = files.built("radzero", path, tokenizer)
    path.unlink()
    assert isinstance(built, RadZero)
    return built


@pytest.fixture(scope="module")
def pixels(arrays: dict[str, Any]) -> Tensor:
    """The published inputs [3, 1, 518, 518]: nothing is left to be stretched or resized."""
    return parity.normalised(arrays["image_u8"])


@pytest.fixture(scope="module")
def images(model: RadZero, pixels: Tensor) -> ImageFeatures:
    """Stretching was done before resizing and is not done twice."""
    with torch.no_grad():
        return _encoded(model, pixels, stretch=False)


@pytest.fixture(scope="module")
def texts(model: RadZero, arrays: dict[str, Any]) -> TextFeatures:
    with torch.no_grad():
        return model.encode_texts(model.tokenize(arrays["prompts"].tolist()))


def _encoded(model: RadZero, pixels: Tensor, **changed: Any) -> ImageFeatures:
    before = model.options
    model.options = replace(before, **changed)
    with torch.no_grad():
        found = model.encode_images(pixels)
    model.options = before
    return found


def test_stretching_is_opencvs_to_the_bit() -> None:
    for least in range(0, 140, 9):
        for largest in range(least, 256, 5):
            levels = np.arange(least, largest + 1, dtype=np.uint8)[None]
            expected = cv2.normalize(levels, None, 0, 255, cv2.NORM_MINMAX)
            found = radzero.stretched(parity.normalised(torch.from_numpy(levels)[None])) * 255
            np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=1e-4)


def test_preprocessing_is_the_published_one_to_the_bit(arrays: dict[str, Any]) -> None:
    """Pillow shortens the columns of the third, a high one, before it lengthens its rows; a square has one order."""
    for number, expected in enumerate(arrays["image_u8"]):
        found = radzero.stretched(parity.normalised(arrays[f"raw_{number}"][None]))
        if number == 2:
            found = released.resized(found, 518, found.shape[3], "bicubic")
        found = released.resized(found, 518, 518, "bicubic")[0, 0] * 255
        torch.testing.assert_close(found, expected.float(), atol=1e-4, rtol=0)


def test_texts_are_the_published_ones(model: RadZero, arrays: dict[str, Any]) -> None:
    tokens = model.tokenize(arrays["prompts"].tolist())
    assert torch.equal(tokens.ids, arrays["prompt_ids"])
    assert torch.equal(tokens.mask.long(), arrays["prompt_mask"])
    with torch.no_grad():
        hidden = model.text(tokens.ids, tokens.mask.long(), output_hidden_states=True).hidden_states
        for layer, name in ((0, "embed"), (1, "layer1"), (12, "last")):
            found = hidden[layer][..., :64]
            torch.testing.assert_close(found[tokens.mask], arrays[f"mpnet_{name}"][tokens.mask], **TOLERANCE)
        pooled = model.encode_texts(tokens).pooled
    torch.testing.assert_close(pooled, functional.normalize(arrays["text_normed"], dim=-1), **TOLERANCE)


def test_positions_are_resized_as_published(model: RadZero, arrays: dict[str, Any]) -> None:
    table = model.vision.embeddings.position_embeddings[0, arrays["token_index"], :128]
    torch.testing.assert_close(table, arrays["pos_interp_tokens"], **TOLERANCE)


def test_scores_and_maps_are_the_published_ones(
    model: RadZero, arrays: dict[str, Any], images: ImageFeatures, texts: TextFeatures
) -> None:
    with torch.no_grad():
        tokens = torch.cat([images.pooled[:, None], images.grid.flatten(1, 2)], dim=1)[:, arrays["token_index"], :128]
        # The arrays hold the LayerNorm's output, whose 128 channels do not tell its length.
        expected = arrays["normed_tokens"]
        torch.testing.assert_close(
            functional.normalize(tokens, dim=-1), functional.normalize(expected, dim=-1), **TOLERANCE
        )
        logits, maps = model.similarity(images, texts), model.heatmaps(images, texts)
        own = images.pooled @ texts.pooled.T / model.temperature.exp()
    torch.testing.assert_close(own, arrays["similarity_cls"], **TOLERANCE)
    torch.testing.assert_close(maps, arrays["similarity_scores"], **TOLERANCE)
    torch.testing.assert_close(logits, arrays["logits"], **TOLERANCE)
    torch.testing.assert_close(logits.sigmoid().double(), arrays["probability"], **TOLERANCE)


def test_maps_over_the_original_are_the_published_ones_and_point_where_they_do(
    model: RadZero, arrays: dict[str, Any], images: ImageFeatures, texts: TextFeatures
) -> None:
    with torch.no_grad():
        maps = model.heatmaps(images, texts)
    for number in range(3):
        height, width = arrays[f"raw_{number}"].shape
        full = functional.interpolate(maps[number : number + 1], (height, width), mode="bilinear")[0]
        torch.testing.assert_close(full[:, ::16, ::16], arrays[f"map_full_{number}"], **TOLERANCE)
        best = full.flatten(1).argmax(1)
        points = torch.stack([best % width, best // width], dim=1)
        assert torch.equal(points, arrays["point_xy"][number])


def test_scores_in_chunks_are_those_of_all_images_at_once(
    model: RadZero, images: ImageFeatures, texts: TextFeatures, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.no_grad():
        whole = model.similarity(images, texts)
        monkeypatch.setattr(radzero, "PAIRS_AT_ONCE", 4)
        torch.testing.assert_close(model.similarity(images, texts), whole, atol=1e-5, rtol=0)


def test_without_stretching_the_scores_are_those_published_for_grounding_sets(
    model: RadZero, arrays: dict[str, Any], texts: TextFeatures
) -> None:
    found = _encoded(model, parity.normalised(arrays["raw_0"][None]), stretch=False)
    with torch.no_grad():
        torch.testing.assert_close(model.similarity(found, texts)[0], arrays["nominmax_logits_0"], **TOLERANCE)
        torch.testing.assert_close(model.heatmaps(found, texts)[0], arrays["nominmax_similarity_0"], **TOLERANCE)


@pytest.mark.parametrize("case", ["sizeinterp", "table518"])
def test_positions_by_size_and_a_table_of_the_right_size_give_the_published_variants(
    case: str, model: RadZero, arrays: dict[str, Any], pixels: Tensor, texts: TextFeatures
) -> None:
    table = model.vision.embeddings.position_embeddings
    before = table.data.clone()
    entry = parity.keys("radzero", FOLDER)[radzero.POSITIONS]
    if case == "sizeinterp":
        changed = radzero.resized_positions(parity.fill(entry["k"], entry["shape"], entry["rule"]), "size")
    else:
        changed = parity.fill(entry["k"], [1, 1 + 37 * 37, 768], entry["rule"])
        assert radzero.resized_positions(changed, "scale") is changed
    table.data.copy_(changed)
    try:
        found = _encoded(model, pixels[:1], stretch=False)
        with torch.no_grad():
            logits, maps = model.similarity(found, texts)[0], model.heatmaps(found, texts)[0]
    finally:
        table.data.copy_(before)
    torch.testing.assert_close(logits, arrays[f"{case}_logits_0"], **TOLERANCE)
    torch.testing.assert_close(maps, arrays[f"{case}_similarity_0"], **TOLERANCE)


def test_an_image_alone_scores_as_in_a_batch_and_to_the_bit_alike_from_a_saved_model(
    model: RadZero, images: ImageFeatures, texts: TextFeatures, pixels: Tensor, arrays: dict[str, Any], tmp_path: Path
) -> None:
    save(model, tmp_path / "model.safetensors")
    again = restore(tmp_path / "model.safetensors")
    assert isinstance(again, RadZero)
    (tmp_path / "model.safetensors").unlink()
    prompt = [str(arrays["prompts"][2])]
    scores = []
    with torch.no_grad():
        for one in (model, again):
            alone = _encoded(one, pixels[1:2], stretch=False)
            scores.append(one.similarity(alone, one.encode_texts(one.tokenize(prompt)))[0, 0])
        assert torch.equal(*scores)
        torch.testing.assert_close(scores[0], model.similarity(images, texts)[1, 2], **TOLERANCE)
        empty = model.encode_texts(model.tokenize(["", "There is no finding"]))
        assert torch.isfinite(model.similarity(images, empty)).all()


def test_a_smaller_cache_is_refused_and_training_too(model: RadZero) -> None:
    with pytest.raises(ValueError, match=r"^RadZero reads images of 518 pixels, the cache holds 512; set `cohort"):
        model.encode_images(torch.zeros(1, 1, 512, 512))
    with pytest.raises(ValueError, match="evaluated only; it cannot be trained"):
        model.train()


def test_wrong_truncated_and_malicious_files_are_refused(
    weights: dict[str, Tensor], tokenizer: str, tmp_path: Path
) -> None:
    files.refused("radzero", tokenizer, tmp_path, dict, weights)
    zeros = dict(weights)
    torch.save(zeros | {radzero.POSITIONS: torch.zeros(1, 250, 768)}, tmp_path / "x.bin")
    with pytest.raises(ValueError, match=r"misshapen vision_model\.embeddings\.position_embeddings \[1, 250, 768\]"):
        files.built("radzero", tmp_path / "x.bin", tokenizer)


def test_options_are_checked_and_the_snapshots_normalisation_is_read(
    weights: dict[str, Tensor], tokenizer: str, arrays: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "x.bin"
    torch.save(weights, path)

    def built(**options: Any) -> RadZero:
        return files.built("radzero", path, tokenizer, **options)  # type: ignore[return-value]

    found = built()
    assert found.options.mean == pytest.approx(arrays["mean"].tolist())
    assert found.options.std == pytest.approx(arrays["std"].tolist())
    assert found.sentences("Edema", ("There is edema",)) == ("There is edema",)
    assert built(mean=[0.1, 0.2, 0.3]).options.mean == (0.1, 0.2, 0.3)
    with pytest.raises(ValueError, match=r"mean and std are three numbers each, found \(0\.5,\)"):
        built(mean=[0.5])
    with pytest.raises(ValueError, match=r"`model_options\.positions` must be .*scale.*size"):
        built(positions="sice")
    (Path(tokenizer) / radzero.PROCESSOR).rename(tmp_path / "elsewhere.json")
    assert built().options.mean == radzero.MEAN

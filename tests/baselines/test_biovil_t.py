"""The released BioViL-T and BioViL: the published arrays, their options, and files that are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from baselines import biovil_t
from baselines.base import ImageFeatures, TextFeatures, restore, save
from baselines.biovil_t import AND, BUT, BioViLT
from tests import parity
from tests.baselines import files

FOLDER = parity.RELEASED / "biovil"
TOLERANCE, LAYERS = {"atol": 1e-5, "rtol": 0.0}, {"atol": 1e-4, "rtol": 0.0}
"""Of the arrays' README: scores and maps; intermediates."""
PREFIX = {"biovil_t": "t", "biovil": "b"}
ROWS = 32
"""Of the word embeddings; the tokenizer of the arrays has fewer pieces."""
pytestmark = parity.needs_released("biovil")


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    return parity.arrays("arrays.npz", FOLDER)


@pytest.fixture(scope="module")
def prompts(arrays: dict[str, Any]) -> list[str]:
    return arrays["prompts"].tolist()


@pytest.fixture(scope="module")
def text(arrays: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The snapshot of the text model: ``vocab.txt`` and weights."""
    folder = files.vocabulary(arrays["vocab"].tolist(), tmp_path_factory.mktemp("biovil"))
    torch.save(parity.filled("cxr_bert", FOLDER), Path(folder) / "pytorch_model.bin")
    return folder


@pytest.fixture(scope="module", params=PREFIX)
def model(request: Any, text: str, tmp_path_factory: pytest.TempPathFactory) -> BioViLT:
    """Read from a file of the released structure, which is gone by the time the tests run."""
    path = tmp_path_factory.mktemp("biovil") / "image.pt"
    torch.save(parity.filled(f"{request.param}_image", FOLDER), path)
    built = files.built("biovil_t", path, text, text_model=text)
    path.unlink()
    assert isinstance(built, BioViLT)
    assert built.options.vision == request.param
    return built


@pytest.fixture(scope="module")
def prefix(model: BioViLT) -> str:
    return PREFIX[model.options.vision or ""]


@pytest.fixture(scope="module")
def images(model: BioViLT, arrays: dict[str, Any]) -> ImageFeatures:
    """From the originals, which are no squares."""
    with torch.no_grad():
        return ImageFeatures.cat([model.encode_images(parity.normalised(arrays[f"raw_{k}"][None])) for k in range(3)])


@pytest.fixture(scope="module")
def texts(model: BioViLT, prompts: list[str]) -> TextFeatures:
    with torch.no_grad():
        return model.encode_texts(model.tokenize(prompts))


def test_preprocessing_is_the_published_one_to_the_bit(model: BioViLT, arrays: dict[str, Any]) -> None:
    margin = (480 - model.crop) // 2
    for number, expected in enumerate(arrays["image_u8"][:, margin : 480 - margin, margin : 480 - margin]):
        found = model.preprocessed(parity.normalised(arrays[f"raw_{number}"][None]))[0, 0] * 255
        torch.testing.assert_close(found, expected.float(), atol=1e-4, rtol=0)


def test_stretching_truncates_and_a_constant_image_becomes_black() -> None:
    levels = torch.tensor([[20, 50, 77, 220]], dtype=torch.uint8)
    shifted = levels.numpy().astype(float) - 20
    expected = (shifted / shifted.max() * 255).astype(np.uint8)
    found = biovil_t.stretched(parity.normalised(levels[None])) * 255
    np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=1e-4)
    assert (biovil_t.stretched(torch.full((1, 1, 4, 4), 0.5)) == 0).all()


def test_texts_are_the_published_ones(model: BioViLT, arrays: dict[str, Any], prompts: list[str]) -> None:
    tokens = model.tokenize(prompts)
    assert torch.equal(tokens.ids[:, 0], arrays["prompt_ids"])
    assert torch.equal(tokens.mask[:, 0].long(), arrays["prompt_mask"])
    with torch.no_grad():
        ids, mask = tokens.ids[:, 0], tokens.mask[:, 0].long()
        hidden = model.language.bert.model(ids, mask, output_hidden_states=True).hidden_states
        layers = torch.stack([hidden[layer][:, 0] for layer in (0, 1, 6, 12)], dim=1)
        torch.testing.assert_close(layers, arrays["text_cls_layers"], **LAYERS)
        first = mask[0].bool()
        torch.testing.assert_close(hidden[12][0, first, :64], arrays["text_tokens_last_sample0"][first], **LAYERS)
        projected = model.language(ids, tokens.mask[:, 0])
        torch.testing.assert_close(projected, arrays["text_proj"], **LAYERS)
        torch.testing.assert_close(model.encode_texts(tokens).pooled, arrays["text_emb"], **TOLERANCE)


def test_images_and_scores_are_the_published_ones(
    model: BioViLT, prefix: str, arrays: dict[str, Any], images: ImageFeatures, texts: TextFeatures
) -> None:
    with torch.no_grad():
        pixels = model.preprocessed(parity.normalised(arrays["raw_1"][None])).expand(-1, 3, -1, -1)
        cells = model.vision(pixels)
        scores = model.similarity(images, texts)
    torch.testing.assert_close(cells[0].mean(-1), arrays[f"{prefix}_proj_mean_c"][1], **LAYERS)
    torch.testing.assert_close(cells[0].mean((0, 1)), arrays[f"{prefix}_global_raw"][1], **LAYERS)
    torch.testing.assert_close(images.grid[0], arrays[f"{prefix}_patch_norm_0"], **LAYERS)
    torch.testing.assert_close(images.pooled, arrays[f"{prefix}_global"], **TOLERANCE)
    torch.testing.assert_close(scores, arrays[f"{prefix}_scores"], **TOLERANCE)


def test_sentences_of_one_text_are_averaged_before_they_are_normalised(
    model: BioViLT, prefix: str, arrays: dict[str, Any], images: ImageFeatures, prompts: list[str]
) -> None:
    pairs = [AND.join(prompts[:2]), AND.join(prompts[2:])]
    with torch.no_grad():
        tokens = model.tokenize([*pairs, BUT.join(pairs), prompts[0]])
        scores = model.similarity(images, model.encode_texts(tokens))
        parts = TextFeatures.cat([model.encode_texts(tokens[place : place + 1]) for place in range(4)])
        torch.testing.assert_close(model.similarity(images, parts), scores, **TOLERANCE)
    expected = arrays[f"{prefix}_scores_pairs"]
    torch.testing.assert_close(scores[:, :2], expected, **TOLERANCE)
    torch.testing.assert_close(scores[:, 2], expected[:, 0] - expected[:, 1], **TOLERANCE)
    torch.testing.assert_close(scores[:, 3], arrays[f"{prefix}_scores"][:, 0], **TOLERANCE)


def test_the_crop_of_512_is_that_of_the_published_example(model: BioViLT, arrays: dict[str, Any], texts: Any) -> None:
    if model.options.vision == "biovil":
        pytest.skip("the arrays have it for BioViL-T alone")
    whole = BioViLT(replace(model.options, crop=512), model.vocabulary or [])
    whole.load_state_dict(model.state_dict())
    whole.eval()
    with torch.no_grad():
        images = ImageFeatures.cat(
            [whole.encode_images(parity.normalised(arrays[f"raw_{number}"][None])) for number in range(3)]
        )
        torch.testing.assert_close(images.pooled, arrays["t512_global"], **TOLERANCE)
        torch.testing.assert_close(whole.similarity(images, texts), arrays["t512_scores"], **TOLERANCE)
        maps = whole.similarity_maps(images, texts)
        torch.testing.assert_close(maps, arrays["t512_sim_smooth"], **TOLERANCE)
        heatmaps = whole.heatmaps(images, texts)
    torch.testing.assert_close(heatmaps, functional.interpolate(maps, (64, 64), mode="bilinear"))


def test_maps_are_the_published_ones_over_the_original(
    model: BioViLT, prefix: str, arrays: dict[str, Any], images: ImageFeatures, texts: TextFeatures
) -> None:
    with torch.no_grad():
        maps = model.similarity_maps(images, texts)
    torch.testing.assert_close(maps, arrays[f"{prefix}_sim_smooth"], **TOLERANCE)
    for number in range(3):
        height, width = arrays[f"raw_{number}"].shape
        side = int(model.crop * min(height, width) / 512)
        inside = functional.interpolate(maps[number : number + 1], (side, side), mode="bilinear")[0]
        top, left = (height - side) // 2, (width - side) // 2
        whole = torch.full((4, height, width), torch.nan)
        whole[:, top : top + side, left : left + side] = inside
        expected = arrays[f"{prefix}_map_full_{number}"]
        torch.testing.assert_close(whole[:, ::16, ::16], expected, **TOLERANCE, equal_nan=True)


def test_heatmaps_cover_the_square_and_point_where_the_published_maps_do(
    model: BioViLT, prefix: str, arrays: dict[str, Any], images: ImageFeatures, texts: TextFeatures
) -> None:
    """Of the square original; its margins have each map's least value, for the published ones are empty there."""
    with torch.no_grad():
        heatmaps = model.heatmaps(images, texts)
    assert heatmaps.shape == (3, 4, 64, 64)
    full = functional.interpolate(heatmaps, (512, 512), mode="bilinear")[1]
    margin = (512 - model.crop) // 2
    outside = torch.ones(64, 64, dtype=torch.bool)
    cells = margin // biovil_t.CELL
    outside[cells:-cells, cells:-cells] = False
    least = heatmaps.amin((2, 3))
    torch.testing.assert_close(heatmaps[:, :, outside], least[..., None].expand(-1, -1, int(outside.sum())))
    for found, expected in zip(full.flatten(1).argmax(1).tolist(), arrays[f"{prefix}_map_argmax"][1], strict=True):
        place = torch.tensor(divmod(found, 512))
        assert (place - expected).abs().max() <= biovil_t.CELL


def test_scores_are_the_same_to_the_bit_twice_and_from_a_saved_model_and_for_an_image_alone(
    model: BioViLT, arrays: dict[str, Any], prompts: list[str], tmp_path: Path
) -> None:
    square = parity.normalised(arrays["raw_1"][None])
    pixels = torch.cat([square, square.flip(3)])

    def scores(of: Any) -> Tensor:
        with torch.no_grad():
            return of.similarity(of.encode_images(pixels), of.encode_texts(of.tokenize(prompts)))

    save(model, tmp_path / "model.safetensors")
    again = restore(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    first = scores(model)
    assert torch.equal(scores(model), first)
    assert torch.equal(scores(again), first)
    with torch.no_grad():
        alone = model.similarity(model.encode_images(pixels[1:]), model.encode_texts(model.tokenize(prompts[2:3])))
    torch.testing.assert_close(alone[0, 0], first[1, 2], **TOLERANCE)


def test_a_smaller_cache_is_refused_and_training_too(model: BioViLT, images: ImageFeatures) -> None:
    with pytest.raises(ValueError, match=r"^BioViL-T reads images of 512 pixels, the cache holds 448; set `cohort"):
        model.encode_images(torch.zeros(1, 1, 448, 448))
    with pytest.raises(ValueError, match="evaluated only; it cannot be trained"):
        model.train()
    with torch.no_grad():
        empty = model.encode_texts(model.tokenize(["", "There is no finding"]))
        assert torch.isfinite(model.similarity(images, empty)).all()


def _refusing(text: str, folder: Path, vision: str) -> dict[str, Tensor]:
    weights = parity.hollow(f"{vision}_image", FOLDER)
    torch.save(weights, folder / "image.pt")
    return weights


@pytest.mark.parametrize("vision", PREFIX)
def test_wrong_truncated_and_malicious_files_are_refused(vision: str, text: str, tmp_path: Path) -> None:
    weights = _refusing(text, tmp_path, vision)
    assert len(weights) == {"biovil_t": 372, "biovil": 328}[vision]
    files.refused("biovil_t", text, tmp_path, dict, weights, text_model=text)
    other = {"biovil_t": "biovil", "biovil": "biovil_t"}[vision]
    with pytest.raises(ValueError, match=r"image\.pt is not the released file: .*encoder\."):
        files.built("biovil_t", tmp_path / "image.pt", text, text_model=text, vision=other)


def test_a_text_model_that_is_absent_or_wrong_is_refused(arrays: dict[str, Any], text: str, tmp_path: Path) -> None:
    _refusing(text, tmp_path, "biovil")

    def built(folder: Path, **options: Any) -> BioViLT:
        return files.built("biovil_t", tmp_path / "image.pt", text, text_model=str(folder), **options)  # type: ignore

    with pytest.raises(ValueError, match=r"must be the folder .* with model\.safetensors or pytorch_model\.bin"):
        built(tmp_path / "absent")
    weights = parity.filled("cxr_bert", FOLDER)
    assert len(weights) == 210
    file = tmp_path / "pytorch_model.bin"
    lacking = parity.without(weights, "head.dense_to_output.bias") | {"bert.pooler.dense.bias": torch.zeros(768)}
    torch.save(files.without_values(lacking), file)
    with pytest.raises(
        ValueError, match=r"pytorch_model\.bin is not .*: missing cls_projection_head\.dense_to_output\.bias; unexp"
    ):
        built(tmp_path)
    torch.save(weights | {"bert.embeddings.position_ids": torch.arange(512)[None]}, file)
    assert built(tmp_path).language.head[0].weight.equal(weights["cls_projection_head.dense_to_hidden.weight"])
    torch.save({**weights, "extra": files.Attack(tmp_path / "trap")}, file)
    with pytest.raises(ValueError, match="holds objects of classes that are not allowed"):
        built(tmp_path)
    assert not (tmp_path / "trap").exists()
    # A safetensors file lacks what is tied to another tensor.
    save_file(parity.without(weights, "cls.predictions.decoder"), tmp_path / "model.safetensors")
    assert built(tmp_path).vocabulary == [*arrays["vocab"].tolist(), *(f"[unused-row-{k}]" for k in range(26, ROWS))]


def test_own_prompts_are_one_text_of_the_published_sentences(text: str, tmp_path: Path) -> None:
    _refusing(text, tmp_path, "biovil_t")

    def sentences(**options: Any) -> tuple[str, ...]:
        built = files.built("biovil_t", tmp_path / "image.pt", text, text_model=text, **options)
        return built.sentences("Pleural effusion", ("There is pleural effusion",))

    assert sentences() == ("There is pleural effusion",)
    (own,) = sentences(prompts="own")
    assert own.split(AND)[0] == "Findings consistent with pleural effusion"
    assert len(own.split(AND)) == 4
    (both,) = sentences(prompts="own", contrast=True)
    affirming, denying = both.split(BUT)
    assert affirming == own
    assert denying.split(AND)[0] == "There is no pleural effusion"
    with pytest.raises(ValueError, match=r"`model_options\.contrast` .* set `prompts: own`"):
        sentences(contrast=True)
    with pytest.raises(ValueError, match=r"`model_options\.crop` must be 448, 480 or 512, found 300"):
        sentences(crop=300)

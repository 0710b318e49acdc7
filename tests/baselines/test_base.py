"""The contract: a model is found by name, scores pairs one by one as in a batch, and survives saving."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from baselines import base
from tests.baselines.conftest import ENCODERS, TEXTS, VOCABULARY

EMBEDDED = ["clip", "carzero", "convirt", "gloria"]


def _model(name: str, **options: object) -> base.Baseline:
    torch.manual_seed(0)
    return base.load(name, ENCODERS, options, VOCABULARY).eval()


def test_an_unknown_model_is_refused_with_the_nearest_name_and_the_list() -> None:
    with pytest.raises(ValueError, match=r"carzro.py does not exist; did you mean 'carzero'\?; known: .*clip"):
        base.load("carzro", ENCODERS, {}, VOCABULARY)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"fnn": 3}, r"`model_options.fnn` does not exist; did you mean 'ffn'"),
        ({"layers": "two"}, r"`model_options.layers` must be int \(at least 1 and at most 64\), found 'two'"),
        ({"image": {"widht": 8}}, r"`encoders.image.widht` does not exist; did you mean 'width'"),
        ({"image": {"kind": "resnet"}}, r"`encoders.image.kind` must be one of conv, vit, found 'resnet'"),
        ({"image": {"dim": 16}}, r"must have one width, found image 16 and text 32"),
    ],
)
def test_a_wrong_option_is_refused_with_its_path(options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        base.load("carzero", ENCODERS, options, VOCABULARY)


@pytest.mark.parametrize("name", EMBEDDED)
def test_similarity_is_the_mean_of_the_pair_logits(name: str, pixels: torch.Tensor) -> None:
    model = _model(name)
    with torch.no_grad():
        images, texts = model.encode_images(pixels), model.encode_texts(model.tokenize(TEXTS[:3]))
        matrices = model.pair_logits(images, texts)
        assert all(matrix.shape == (5, 3) for matrix in matrices)
        torch.testing.assert_close(model.similarity(images, texts), sum(matrices) / len(matrices))


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_pair_scored_alone_equals_the_same_pair_in_a_batch(name: str, pixels: torch.Tensor) -> None:
    model = _model(name)
    with torch.no_grad():
        images, texts = model.encode_images(pixels), model.encode_texts(model.tokenize(TEXTS))
        together, maps = model.similarity(images, texts), model.heatmaps(images, texts)
        for i in range(len(pixels)):
            for j, text in enumerate(TEXTS):
                alone = model.encode_images(pixels[i : i + 1]), model.encode_texts(model.tokenize([text]))
                torch.testing.assert_close(model.similarity(*alone)[0, 0], together[i, j], atol=1e-5, rtol=0)
                torch.testing.assert_close(model.heatmaps(*alone)[0, 0], maps[i, j], atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", EMBEDDED)
def test_saving_and_restoring_changes_no_score_and_no_random_state(
    name: str, pixels: torch.Tensor, tmp_path: Path
) -> None:
    model = _model(name)
    path = tmp_path / "model.safetensors"
    base.save(model, path)
    before = torch.random.get_rng_state()
    restored = base.restore(path)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert restored.recipe == model.recipe
    with torch.no_grad():
        scores = [m.similarity(m.encode_images(pixels), m.encode_texts(m.tokenize(TEXTS))) for m in (model, restored)]
    assert torch.equal(*scores)


def test_a_file_whose_tensors_do_not_fit_is_refused_with_the_list(tmp_path: Path) -> None:
    model = _model("clip")
    path = tmp_path / "model.safetensors"
    weights = dict(model.state_dict())
    weights["surplus"] = weights.pop("logit_scale")
    save_file(
        {name: tensor.contiguous() for name, tensor in weights.items()},
        path,
        metadata={base.RECIPE: json.dumps(vars(model.recipe))},
    )
    with pytest.raises(ValueError, match=r"missing logit_scale; unexpected surplus\."):
        base.restore(path)


def test_a_foreign_safetensors_file_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    assert load_file(path)
    with pytest.raises(ValueError, match="holds no 'baseline' recipe"):
        base.restore(path)


def test_rows_slice_join_and_move_as_one(pixels: torch.Tensor) -> None:
    model = _model("carzero")
    with torch.no_grad():
        images = model.encode_images(pixels)
    assert len(images) == 5
    joined = base.ImageFeatures.cat([images[:2], images[2:].to("cpu")])
    assert torch.equal(joined.pooled, images.pooled)
    assert torch.equal(joined.grid, images.grid)

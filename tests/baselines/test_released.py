"""What released models share: preprocessing against OpenCV and Pillow, exact weights, refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from baselines import chexpert_prompts, released
from baselines.options import ModelOptions

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@pytest.fixture
def grey() -> np.ndarray:
    """Smooth shades with hard edges and both extremes, uint8 (320, 320)."""
    coarse = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)
    image = cv2.resize(coarse, (320, 320), interpolation=cv2.INTER_CUBIC)
    image[100:140, 60:200], image[200:, 250:] = 0, 255
    return image


def _pixels(grey: np.ndarray) -> Tensor:
    return torch.from_numpy(grey)[None, None].float() / 255


@pytest.mark.parametrize("size", [(256, 256), (224, 224), (160, 160), (224, 173)])
def test_area_is_opencvs(grey: np.ndarray, size: tuple[int, int]) -> None:
    height, width = size
    expected = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    found = released.resized(_pixels(grey), height, width, "area")[0, 0].numpy() * 255
    if 320 % height == 0:
        np.testing.assert_allclose(found, expected, atol=1e-4)
    # Where the factor is no whole number OpenCV sums in float32, so that a half falls either way.
    assert np.abs(found - expected).max() <= 1 + 1e-4
    assert np.mean(np.abs(found - expected) > 0.5) < 0.02


@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("size", [(256, 256), (224, 224), (160, 200), (512, 512)])
def test_bilinear_and_bicubic_are_pillows_to_the_bit(
    grey: np.ndarray, size: tuple[int, int], interpolation: str
) -> None:
    height, width = size
    expected = np.asarray(Image.fromarray(grey).resize((width, height), FILTERS[interpolation]), float)
    found = released.resized(_pixels(grey), height, width, interpolation)[0, 0].numpy() * 255
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_resizing_under_autocast_keeps_float32(grey: np.ndarray) -> None:
    plain = released.resized(_pixels(grey), 224, 224, "area")
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(released.resized(_pixels(grey), 224, 224, "area"), plain)


def test_the_crop_is_central_and_grey_becomes_three_normalised_channels() -> None:
    pixels = torch.arange(36.0).reshape(1, 1, 6, 6) / 36
    assert torch.equal(released.cropped(pixels, 3)[0, 0], pixels[0, 0, 1:4, 1:4])
    channels = released.normalised(pixels, [0.1, 0.2, 0.3], [1.0, 2.0, 4.0])
    assert channels.shape == (1, 3, 6, 6)
    torch.testing.assert_close(channels[:, 2:], (pixels - 0.3) / 4)
    torch.testing.assert_close(released.normalised(pixels, 0.5, 0.5)[:, 1:2], 2 * pixels - 1)


class _Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Linear(2, 3)
        self.tower.register_buffer("position_ids", torch.arange(4))
        self.head = nn.Linear(3, 1, bias=False)


NAMES, UNREAD = {"tower.": "visual.", "head.": "projection."}, {"pooler.weight": (2, 2)}


def _released() -> dict[str, Tensor]:
    return {
        "visual.weight": torch.rand(3, 2),
        "visual.bias": torch.rand(3),
        "projection.weight": torch.rand(1, 3),
        "pooler.weight": torch.rand(2, 2),
    }


def test_weights_are_taken_by_their_released_names() -> None:
    model, weights = _Model(), _released()
    released.take_weights(model, weights, NAMES, UNREAD, "x.ckpt")
    assert torch.equal(model.tower.weight, weights["visual.weight"])
    assert torch.equal(model.head.weight, weights["projection.weight"])
    assert torch.equal(model.tower.position_ids, torch.arange(4))


def test_a_wrong_file_is_refused_with_the_first_names_that_differ() -> None:
    weights = _released() | {f"decoder.{k}.weight": torch.zeros(1) for k in range(5)}
    del weights["pooler.weight"]
    weights["visual.bias"] = torch.zeros(7)
    message = (
        r"^x\.ckpt is not the released file: missing pooler\.weight; "
        r"unexpected decoder\.0\.weight, decoder\.1\.weight, decoder\.2\.weight and 2 more; "
        r"misshapen visual\.bias \[7\] instead of \[3\]\.$"
    )
    model = _Model()
    before = model.tower.weight.clone()
    with pytest.raises(ValueError, match=message):
        released.take_weights(model, weights, NAMES, UNREAD, "x.ckpt")
    assert torch.equal(model.tower.weight, before)


def test_index_buffers_are_left_out_by_name_alone(tmp_path: Any) -> None:
    weights = _released()
    index = {
        "text.embeddings.position_ids": torch.arange(3),
        "layers.0.relative_position_index": torch.zeros(2),
        "position_ids": torch.arange(3),
    }
    torch.save(weights | index | {"other_position_ids_weight": torch.zeros(1)}, tmp_path / "x.bin")
    read = released.read_weights(str(tmp_path / "x.bin"))
    assert set(read) == {*weights, "other_position_ids_weight"}


@dataclass(frozen=True)
class _Options(ModelOptions):
    checkpoint: str
    prompts: Literal["common", "own"] = "common"


def test_training_and_a_missing_checkpoint_are_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"^Some is a released model that is evaluated only; give its file as `checkp"):
        released.released_options(_Options, {}, "Some")
    with pytest.raises(ValueError, match=r"`model_options\.prompts` must be one of common, own, found 'owm'.*'own'"):
        released.released_options(_Options, {"checkpoint": "x", "prompts": "owm"}, "Some")
    with pytest.raises(ValueError, match=r"`model_options\.standardize` does not exist"):
        released.released_options(_Options, {"checkpoint": "x", "standardize": True}, "Some")

    class Some(released.Released):
        label, input_size = "Some", 224

    assert Some().eval().training is False
    with pytest.raises(ValueError, match=r"^Some is a released model that is evaluated only; it cannot be trained\.$"):
        Some().train()
    Some().require_size(224)
    with pytest.raises(
        ValueError, match=r"^Some reads images of 224 pixels, the cache holds 64; set `cohort\.size: 224`"
    ):
        Some().require_size(64)


def test_own_prompts_replace_the_common_ones_where_there_are_any() -> None:
    class Some(released.Released):
        label, input_size = "Some", 224
        own_prompts = {"edema": ("mild edema", "edema")}  # noqa: RUF012

    model = Some()
    assert model.sentences("Edema", ["There is edema"]) == ("There is edema",)
    model.prompts = "own"
    assert model.sentences("Edema", ["There is edema"]) == ("mild edema", "edema")
    assert model.sentences("Fracture", ["There is fracture"]) == ("There is fracture",)


def test_the_published_sentences_are_as_many_as_published() -> None:
    sentences = chexpert_prompts.combinations()
    assert [len(values) for values in sentences.values()] == [210, 15, 192, 18, 54]
    assert len(set(sentences["pleural effusion"])) == 36
    assert sentences["pleural effusion"][3] == " right bilateral pleural effusion"
    assert sentences["atelectasis"][70] == "mild subsegmental atelectasis at the mid lung zone"
    assert max(map(len, sentences["cardiomegaly"])) == 108


def test_drawn_sentences_are_the_same_every_time_and_distinct_places() -> None:
    first = chexpert_prompts.drawn(5, seed=6)
    assert first == chexpert_prompts.drawn(5, seed=6) != chexpert_prompts.drawn(5, seed=7)
    assert all(
        len(values) == 5 and set(values) <= set(chexpert_prompts.combinations()[k]) for k, values in first.items()
    )

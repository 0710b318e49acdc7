"""check-baseline: passes what meets the contract and names what does not."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines import clip
from baselines.base import ImageFeatures, Recipe, TextBatch, TextFeatures
from benchmark.common.errors import UserError
from benchmark.pipeline import layout, settings
from benchmark.tools import check_baseline
from benchmark.tools.contract import subject
from benchmark.tools.contract.subject import Subject
from tests.repository import REPOSITORY

ENCODERS: dict[str, dict[str, Any]] = {
    "image": {"kind": "conv", "width": 8, "dim": 16},
    "text": {"kind": "words", "dim": 16},
}
VOCABULARY = ["there", "is", "no", "pleural", "effusion", "finding"]


def _subject(model_class: type[clip.CLIP]) -> Subject:
    def build() -> clip.CLIP:
        model = model_class(ENCODERS, clip.Options(), VOCABULARY)
        model.recipe = Recipe("clip", ENCODERS, {}, VOCABULARY)
        return model

    return Subject(build, "info_nce", {}, 32)


class LooksAtItsBatch(clip.CLIP):
    """Subtracts the batch's mean."""

    def encode_images(self, pixels: torch.Tensor) -> ImageFeatures:
        features = super().encode_images(pixels)
        return ImageFeatures(features.pooled - features.pooled.mean(0), features.grid)


class RollsDice(clip.CLIP):
    """Scores with noise."""

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[torch.Tensor]:
        return [matrix + torch.rand_like(matrix) for matrix in super().pair_logits(images, texts)]


class Transposed(clip.CLIP):
    """Rows are texts."""

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[torch.Tensor]:
        return [matrix.T for matrix in super().pair_logits(images, texts)]


class Forgets(clip.CLIP):
    """Keeps a number that scoring needs outside its state."""

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[torch.Tensor]:
        return [matrix + 1 for matrix in super().pair_logits(images, texts)]


class HasAnIdleLayer(clip.CLIP):
    """Holds a layer that nothing reads."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.idle = torch.nn.Linear(2, 2)


class EvaluatedOnly(clip.CLIP):
    """As a released model that cannot be trained and says nothing of places."""

    evaluate_only = True
    publishes_heatmaps = False

    def train(self, mode: bool = True) -> EvaluatedOnly:
        assert not mode
        return super().train(mode)

    def heatmaps(self, images: ImageFeatures, texts: TextFeatures) -> torch.Tensor:
        raise ValueError


def test_a_model_that_is_evaluated_only_is_neither_trained_nor_asked_for_heatmaps() -> None:
    results = {name: (passed, found) for name, passed, found in check_baseline.check(_subject(EvaluatedOnly))}
    assert all(passed for passed, _ in results.values()), results
    assert (
        results["gradients"][1]
        == results["learns"][1]
        == results["chunks = a whole batch"][1]
        == subject.EVALUATED_ONLY
    )
    assert results["shapes"][1].endswith("no heatmap published")


class PadsPerBatch(clip.CLIP):
    """Cuts its tokens to the longest text of the call."""

    def tokenize(self, texts: list[str]) -> TextBatch:
        whole = super().tokenize(texts)
        longest = int(whole.mask.sum(1).max())
        return TextBatch(whole.ids[:, :longest], whole.mask[:, :longest])

    def encode_texts(self, tokens: TextBatch) -> TextFeatures:
        missing = self.text.tokenizer.max_tokens - tokens.ids.shape[1]
        padded = TextBatch(*(torch.nn.functional.pad(part, (0, missing)) for part in (tokens.ids, tokens.mask)))
        return super().encode_texts(padded)


class SaysTheNeighbours(clip.CLIP):
    """Tokenises a text by the texts beside it."""

    def tokenize(self, texts: list[str]) -> TextBatch:
        whole = super().tokenize(texts)
        return TextBatch(whole.ids.clamp(max=len(texts)), whole.mask)


class LeavesPadding(clip.CLIP):
    """Gives values to slots without a word."""

    def encode_texts(self, tokens: TextBatch) -> TextFeatures:
        features = super().encode_texts(tokens)
        return TextFeatures(features.pooled, features.words + 1, features.mask)


class Mirrored(clip.CLIP):
    """Its heatmaps are mirrored left to right."""

    def heatmaps(self, images: ImageFeatures, texts: TextFeatures) -> torch.Tensor:
        return super().heatmaps(images, texts).flip(3)


class ColumnsFirst(clip.CLIP):
    """Its grid runs column by column."""

    def encode_images(self, pixels: torch.Tensor) -> ImageFeatures:
        features = super().encode_images(pixels)
        return ImageFeatures(features.pooled, features.grid.transpose(1, 2))


class NormalisesItsLogits(clip.CLIP):
    """A pair's logit depends on the other texts that it is scored with."""

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[torch.Tensor]:
        return [matrix.log_softmax(1) for matrix in super().pair_logits(images, texts)]

    def similarity(self, images: ImageFeatures, texts: TextFeatures) -> torch.Tensor:
        return self.cosine(images, texts)


class CannotBeCopied(clip.CLIP):
    """Holds what no copy can be made of."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.lock = threading.Lock()


class OverflowsInBfloat16(clip.CLIP):
    """Finite in float32 alone."""

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[torch.Tensor]:
        rounded = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
        return [m * (torch.inf if rounded == torch.bfloat16 else 1) for m in super().pair_logits(images, texts)]


@pytest.mark.parametrize(
    ("model_class", "failing", "sentence"),
    [
        (clip.CLIP, None, ""),
        (PadsPerBatch, "tokens", "pad every call to one width"),
        (SaysTheNeighbours, "tokens", "other tokens beside other texts"),
        (LeavesPadding, "shapes", "must be zero where `mask` is False"),
        (Mirrored, "heatmaps lie over the image", "mirrored left to right"),
        (ColumnsFirst, "heatmaps lie over the image", "with rows and columns exchanged"),
        (NormalisesItsLogits, "chunks = a whole batch", "when the batch is taken in chunks"),
        (NormalisesItsLogits, "a pair alone = in a batch", "must not look at its batch"),
        (CannotBeCopied, "save and restore", "cannot pickle"),
        (OverflowsInBfloat16, "gradients", "gradients in bfloat16 are not finite"),
        (LooksAtItsBatch, "a pair alone = in a batch", "must not look at its batch"),
        (RollsDice, "determinism", "scored differently twice"),
        (Transposed, "shapes", r"shape (5, 4), expected (4, 5)"),
        (Forgets, "save and restore", "scores differently"),
        (HasAnIdleLayer, "gradients", "no gradient reaches idle.weight, idle.bias"),
    ],
)
def test_each_breach_is_found_and_said(model_class: type[clip.CLIP], failing: str | None, sentence: str) -> None:
    results = {name: (passed, found) for name, passed, found in check_baseline.check(_subject(model_class))}
    assert set(results) == set(check_baseline.CHECKS)
    if failing is None:
        assert all(passed for passed, _ in results.values()), results
    else:
        passed, found = results[failing]
        assert not passed
        assert sentence in found


def test_images_of_the_side_that_training_sees_are_tried_too() -> None:
    class OneSize(clip.CLIP):
        def encode_images(self, pixels: torch.Tensor) -> ImageFeatures:
            assert pixels.shape[-1] == 32, f"images of {pixels.shape[-1]} px"
            return super().encode_images(pixels)

    checked = replace(_subject(OneSize), training_size=24)
    results = {name: (passed, found) for name, passed, found in check_baseline.check(checked)}
    assert results["shapes"][0]
    passed, found = results["gradients"]
    assert not passed
    assert "images of 24 px" in found


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'carzer' is neither a system .* did you mean 'carzero'"):
        subject.of("carzer", settings.load())


def test_a_model_that_needs_an_option_is_refused_with_a_sentence_that_names_it() -> None:
    with pytest.raises(UserError, match=r"open_clip needs a `checkpoint` .* or `model_options\.name`"):
        subject.of("open_clip", settings.load())


def test_a_model_can_be_checked_before_the_stage_that_pretrains_its_tower_but_not_without_a_users_own_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = settings.load()
    monkeypatch.chdir(tmp_path)
    assert values.encoders["image"]["init"] == layout.PRETRAINED.as_posix()
    assert subject.of("carzero", values).model().image is not None
    own = {**values.encoders, "image": {**values.encoders["image"], "init": "mine/image.safetensors"}}
    with pytest.raises(UserError, match=r"carzero: .*mine/image\.safetensors does not exist"):
        subject.of("carzero", values.model_copy(update={"encoders": own}))


def test_a_system_is_checked_with_its_own_model_and_objective() -> None:
    checked = subject.of("offclip", settings.load())
    assert checked.objective == "off_clip"
    assert type(checked.model()).__name__ == "CARZero"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (b"def build(:", r"baselines/mine\.py, line 1: invalid syntax; fix it"),
        (b"# \xff", r"baselines/mine\.py cannot be read as Python"),
        (b"x = 1", r"baselines/mine\.py defines no function `build`; docs/adding-a-baseline\.md"),
        (b"import gone\ndef build(*_): ...", r"mine could not be built: ModuleNotFoundError: No module named 'gone'"),
        (b"def build(*_):\n    raise RuntimeError('boom')", r"RuntimeError: boom \(.*mine\.py, line 2\); fix it"),
    ],
)
def test_a_file_that_cannot_be_a_baseline_is_refused_in_a_sentence(
    tmp_path: Path, source: bytes, sentence: str
) -> None:
    """In a workspace of its own: the file must lie in the package."""
    for name in ("benchmark", "baselines", "offclip"):
        shutil.copytree(REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / layout.PARAMS, tmp_path)
    (tmp_path / "baselines/mine.py").write_bytes(source)
    command = [sys.executable, "-m", "benchmark", "check-baseline", "mine"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.search(sentence, done.stderr), done.stderr
    assert "Traceback" not in done.stderr

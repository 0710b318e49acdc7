"""check-baseline: passes what keeps the contract and names what does not."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from baselines import clip
from baselines.base import ImageFeatures, Recipe, TextFeatures
from benchmark.common.errors import UserError
from benchmark.pipeline import layout, settings
from benchmark.tools import check_baseline
from benchmark.tools.check_baseline import Subject

REPOSITORY = Path(__file__).resolve().parents[3]
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


@pytest.mark.parametrize(
    ("model_class", "failing", "sentence"),
    [
        (clip.CLIP, None, ""),
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


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'carzer' is neither a system .* did you mean 'carzero'"):
        check_baseline.subject_of("carzer", settings.load())


def test_a_model_that_needs_an_option_is_refused_with_a_sentence_that_names_it() -> None:
    with pytest.raises(UserError, match=r"open_clip needs a `checkpoint` .* or `model_options\.name`"):
        check_baseline.subject_of("open_clip", settings.load())


def test_a_model_can_be_checked_before_the_stage_that_pretrains_its_tower_but_not_without_a_users_own_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = settings.load()
    monkeypatch.chdir(tmp_path)
    assert values.encoders["image"]["init"] == str(layout.PRETRAINED / "image.safetensors")
    assert check_baseline.subject_of("carzero", values).model().image is not None
    own = {**values.encoders, "image": {**values.encoders["image"], "init": "mine/image.safetensors"}}
    with pytest.raises(UserError, match=r"carzero: .*mine/image\.safetensors does not exist"):
        check_baseline.subject_of("carzero", values.model_copy(update={"encoders": own}))


def test_a_system_is_checked_with_its_own_model_and_objective() -> None:
    subject = check_baseline.subject_of("offclip", settings.load())
    assert subject.objective == "off_clip"
    assert type(subject.model()).__name__ == "CARZero"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (b"def build(:", r"baselines/mine\.py, line 1: invalid syntax; fix it"),
        (b"# \xff", r"baselines/mine\.py cannot be read as Python"),
        (b"x = 1", r"baselines/mine\.py defines no function `build`; docs/adding-a-baseline\.md"),
        (b"import gone\ndef build(*_): ...", r"mine could not be built: ModuleNotFoundError: No module named 'gone'"),
        (b"def build(*_):\n    raise RuntimeError('boom')", r"RuntimeError: boom \(.*mine\.py, line 2\); mend it"),
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

"""The training step beside the published one, in one run: same shapes, same numbers, and the ratio of the times.

    pytest tests/benchmarks/test_training_speed.py --benchmark-only

The published step decodes and transforms pictures one by one in the main process, tokenises in every step, pads
to 97 tokens, and computes the cross-attention head with attention weights that nobody reads. ``extra_info``
holds the ratios; they are printed, not asserted, because other programs may run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from baselines import base
from benchmark.progress import say
from benchmark.settings import TrainingSettings
from benchmark.training import data
from benchmark.training.distributed import ALONE
from benchmark.training.gpu_check import PUBLISHED_SIZE, Head, features, head_step
from benchmark.training.loop import Learner
from benchmark.training.published import LiteralHead
from offclip import objective
from tests.benchmark.training import small_cohort

BATCH = int(os.environ.get("OFFCLIP_BENCH_BATCH", "64"))
"""Pairs of the head's comparison; the published width makes 64 take a minute on two cores."""
HAS_AMX = torch.cpu._is_amx_tile_supported()
SIDE, PICTURE, TOKENS, PAIRS = 80, 256, 97, 64
ENCODERS = {"image": {"kind": "conv", "width": 16, "dim": 64}, "text": {"kind": "words", "dim": 64, "layers": 1}}


def seconds(step: Callable[[], object], repetitions: int) -> float:
    """Fastest of some repetitions, after one to warm up."""
    step()
    taken = []
    for _ in range(repetitions):
        start = time.perf_counter()
        step()
        taken.append(time.perf_counter() - start)
    return min(taken)


@pytest.mark.benchmark(group="training")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_head_forward_and_backward(benchmark: BenchmarkFixture, precision: str) -> None:
    torch.manual_seed(0)
    head = Head(PUBLISHED_SIZE.width)
    literal = LiteralHead(head.fusion)
    pair = features(PUBLISHED_SIZE, BATCH, torch.device("cpu"), torch.float32)
    published = head_step(literal.pair_logits, *pair, None)
    ours = head_step(head.pair_logits, *pair, None if precision == "float32" else torch.bfloat16)
    tolerance = 1e-4 if precision == "float32" else 3e-2
    torch.testing.assert_close(ours(), published(), rtol=tolerance, atol=0)

    benchmark.pedantic(ours, rounds=2, warmup_rounds=1)
    ratio = seconds(published, 1) / benchmark.stats["min"]
    benchmark.extra_info |= {"ratio": ratio, "batch": BATCH, "threads": torch.get_num_threads(), "amx": HAS_AMX}
    say(f"head, forward and backward, batch {BATCH}, {precision}: {ratio:.2f}x the published float32 step")


class PublishedStep:
    """One step as the releases take it, at the embedded default's towers and picture size."""

    def __init__(self, files: list[Path], texts: list[str], vocabulary: list[str]) -> None:
        torch.manual_seed(0)
        encoders = {**ENCODERS, "text": {**ENCODERS["text"], "max_tokens": TOKENS}}
        self.model = base.load("carzero", encoders, {"mask_padding": False}, vocabulary)
        self.head = LiteralHead(self.model.fusion)
        parameters = {id(p): p for p in [*self.model.parameters(), *self.head.parameters()]}
        self.optimizer = torch.optim.Adam(parameters.values(), lr=5e-5, betas=(0.5, 0.999), weight_decay=1e-6)
        self.files, self.texts, self.random = files, texts, np.random.default_rng(0)

    def picture(self, path: Path) -> np.ndarray:
        """Decode, fit to 256, pad, crop 224/256, mirror, rotate-shift-scale, jitter, reduce to the towers' side."""
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        scale = PICTURE / max(grey.shape)
        grey = cv2.resize(grey, (int(grey.shape[1] * scale), int(grey.shape[0] * scale)), interpolation=cv2.INTER_AREA)
        square = np.zeros((PICTURE, PICTURE), np.uint8)
        top, left = (PICTURE - grey.shape[0]) // 2, (PICTURE - grey.shape[1]) // 2
        square[top : top + grey.shape[0], left : left + grey.shape[1]] = grey
        colour = cv2.cvtColor(square, cv2.COLOR_GRAY2RGB)
        row, column = self.random.integers(0, PICTURE - 224, 2)
        colour = colour[row : row + 224, column : column + 224]
        if self.random.random() < 0.3:
            colour = colour[:, ::-1]
        matrix = cv2.getRotationMatrix2D((112, 112), self.random.uniform(-30, 30), self.random.uniform(0.9, 1.1))
        matrix[:, 2] += self.random.uniform(-22.4, 22.4, 2)
        colour = cv2.warpAffine(np.ascontiguousarray(colour), matrix, (224, 224))
        colour = cv2.convertScaleAbs(colour, alpha=self.random.uniform(0.8, 1.2), beta=self.random.uniform(-20, 20))
        small = cv2.resize(colour, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        return small.transpose(2, 0, 1)

    def __call__(self) -> float:
        """The loss."""
        chosen = self.random.choice(len(self.files), PAIRS, replace=False)
        pixels = torch.from_numpy(np.stack([self.picture(self.files[i]) for i in chosen]))[:, :1]
        tokens = self.model.tokenize([self.texts[i] for i in chosen])
        images, texts = self.model.encode_images(pixels), self.model.encode_texts(tokens)
        loss: Tensor = sum(objective.info_nce(m) for m in self.head.pair_logits(images, texts))  # type: ignore[assignment]
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 0.25)
        self.optimizer.step()
        return loss.item()


class OneCaption:
    """A fixed caption a study; benchmark.captions is timed on its own."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = np.array(texts, dtype=object)
        self.has_caption = np.ones(len(texts), dtype=bool)

    def __call__(self, indices: np.ndarray, epoch: int) -> tuple[list[str], np.ndarray]:
        """See ``benchmark.training.data.Captions``."""
        return list(self.texts[indices]), np.arange(len(indices)) % 2 == 0


@pytest.mark.benchmark(group="training")
def test_a_whole_step_with_its_data(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    count, rng = 256, np.random.default_rng(0)
    texts = [small_cohort.FINDINGS[i % 4] if i % 2 else small_cohort.NORMAL[i % 3] for i in range(count)]
    vocabulary = sorted({word for text in texts for word in text.split()})
    paths = []
    for number in range(count):  # pictures of a released size, as JPEG
        smooth = cv2.resize(rng.integers(0, 255, (60, 72), dtype=np.uint8), (1226, 1021), interpolation=cv2.INTER_CUBIC)
        paths.append(tmp_path / f"{number}.jpg")
        cv2.imwrite(str(paths[-1]), smooth)
    published = PublishedStep(paths, texts, vocabulary)

    torch.manual_seed(0)
    model = base.load("carzero", ENCODERS, {}, vocabulary)
    training = TrainingSettings(batch_size=PAIRS)
    learner = Learner(model, objective.build("info_nce"), training, torch.device("cpu"), ALONE)
    cache = np.stack(
        [cv2.resize(cv2.imread(str(path), 0), (SIDE, SIDE), interpolation=cv2.INTER_AREA) for path in paths]
    )
    studies = data.Studies([str(i) for i in range(count)], [np.array([i]) for i in range(count)])
    pairs = data.PairData(cache, studies, OneCaption(texts), model.tokenize, seed=0)
    state = {"position": data.Position(), "step": 0}

    def ours() -> float:
        at, state["position"] = state["position"].advance(PAIRS, len(pairs))
        state["step"] += 1
        batch = pairs.batch(at, PAIRS, ALONE, torch.device("cpu"), "light", state["step"])
        return learner.step(batch, 1e-3, (0, state["step"]))

    benchmark.pedantic(ours, rounds=10, warmup_rounds=2)
    ratio = seconds(published, 3) / benchmark.stats["min"]
    benchmark.extra_info |= {"ratio": ratio, "batch": PAIRS, "threads": torch.get_num_threads()}
    say(f"whole step with its data, batch {PAIRS}: {ratio:.2f}x the published step")


def test_the_literal_head_is_the_shipped_one() -> None:
    """Same scores and gradients in float64, so the times compare one function."""
    size = replace(PUBLISHED_SIZE, width=32, grid=4, slots=9)
    torch.manual_seed(0)
    head = Head(size.width).double()
    pair = features(size, 5, torch.device("cpu"), torch.float64)
    literal = LiteralHead(head.fusion).double()
    for ours, theirs in zip(head.pair_logits(*pair), literal.pair_logits(*pair), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)

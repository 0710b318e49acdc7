"""The training step beside the published one, in one run: same shapes, same numbers, and the ratio of the times.

    pytest tests/benchmarks/test_training_speed.py --benchmark-only

The published step decodes and transforms images one by one in the main process, tokenises in every step, pads
to 97 tokens, and computes the cross-attention head with attention weights that nobody reads. Each round times it, with
the memory allocator as Python starts it, and then ours, set up as ``train`` sets it up, so that other programs disturb
both alike. Ratios are printed and stored, not asserted.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from baselines import base
from benchmark.common import memory
from benchmark.compute import device
from benchmark.compute.distributed import ALONE
from benchmark.pipeline import settings
from benchmark.pipeline.settings import TrainingSettings
from benchmark.tools.gpu_check import PUBLISHED_SIZE, Head, features, head_step
from benchmark.tools.literal_head import LiteralHead
from benchmark.training import data
from benchmark.training.loop import Learner
from offclip import objective
from tests.benchmark.training import small_cohort
from tests.repository import REPOSITORY

BATCH = int(os.environ.get("OFFCLIP_BENCH_BATCH", "64"))
"""Pairs of the head's comparison."""
IMAGE, TOKENS, STUDIES = 256, 97, 256
"""Side of the published square, its text slots, and the studies that a step draws from."""
DEFAULT = settings.load(REPOSITORY / "params.yaml")
SIDE, PAIRS = DEFAULT.cohort.size, 64
ENCODERS = {part: {k: v for k, v in options.items() if k != "init"} for part, options in DEFAULT.encoders.items()}
TARGETS = {"float32": "1.4", "bfloat16": "4.5 where the CPU has AMX", "whole step": "4"}
CPU = torch.device("cpu")


def give_freed_memory_back() -> None:
    """The allocator's limits where they settle by themselves in a process that frees large blocks (mallopt(3))."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(memory.M_MMAP_THRESHOLD, 32 << 20)
        mallopt(memory.M_TRIM_THRESHOLD, 64 << 20)


def ratio(
    benchmark: BenchmarkFixture, published: Callable[[], object], ours: Callable[[], object], rounds: int
) -> float:
    """Fastest published step by our fastest one, taken in turns."""
    taken = []

    def before_ours() -> None:
        give_freed_memory_back()
        start = time.perf_counter()
        published()
        taken.append(time.perf_counter() - start)
        memory.keep_freed()

    benchmark.pedantic(ours, setup=before_ours, rounds=rounds, warmup_rounds=1)
    return min(taken[1:]) / benchmark.stats["min"]


@pytest.fixture(scope="module")
def head() -> Head:
    torch.manual_seed(0)
    return Head(PUBLISHED_SIZE.width)


def published_head(head: Head) -> Callable[[], Tensor]:
    """The literal head's step in float32."""
    pair = features(PUBLISHED_SIZE, BATCH, BATCH, CPU, torch.float32)
    return head_step(LiteralHead(head.fusion).pair_logits, *pair, None)


class PublishedStep:
    """One step as the releases take it, at the embedded default's towers and image size."""

    def __init__(self, files: list[Path], texts: list[str], vocabulary: list[str]) -> None:
        torch.manual_seed(0)
        encoders = ENCODERS | {"text": ENCODERS["text"] | {"max_tokens": TOKENS}}
        self.model = base.load("carzero", encoders, {"mask_padding": False}, vocabulary)
        self.head = LiteralHead(self.model.fusion)
        parameters = {id(p): p for p in [*self.model.parameters(), *self.head.parameters()]}
        self.optimizer = torch.optim.Adam(parameters.values(), lr=5e-5, betas=(0.5, 0.999), weight_decay=1e-6)
        self.files, self.texts, self.random = files, texts, np.random.default_rng(0)

    def image(self, path: Path) -> np.ndarray:
        """Decode, fit to 256, pad, crop 224/256, mirror, rotate-shift-scale, jitter, reduce to the towers' side."""
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        scale = IMAGE / max(grey.shape)
        grey = cv2.resize(grey, (int(grey.shape[1] * scale), int(grey.shape[0] * scale)), interpolation=cv2.INTER_AREA)
        square = np.zeros((IMAGE, IMAGE), np.uint8)
        top, left = (IMAGE - grey.shape[0]) // 2, (IMAGE - grey.shape[1]) // 2
        square[top : top + grey.shape[0], left : left + grey.shape[1]] = grey
        colour = cv2.cvtColor(square, cv2.COLOR_GRAY2RGB)
        row, column = self.random.integers(0, IMAGE - 224, 2)
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
        pixels = torch.from_numpy(np.stack([self.image(self.files[i]) for i in chosen]))[:, :1]
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


@dataclass(frozen=True)
class Cohort:
    """What both steps learn from."""

    files: list[Path]
    """JPEGs of a released size."""
    texts: list[str]
    vocabulary: list[str]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    texts = [small_cohort.FINDINGS[i % 4] if i % 2 else small_cohort.NORMAL[i % 3] for i in range(STUDIES)]
    paths = [folder / f"{number}.jpg" for number in range(STUDIES)]
    for path in paths:
        smooth = cv2.resize(rng.integers(0, 255, (60, 72), dtype=np.uint8), (1226, 1021), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(path), smooth)
    return Cohort(paths, texts, sorted({word for text in texts for word in text.split()}))


@pytest.mark.benchmark(group="training")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_head_forward_and_backward(benchmark: BenchmarkFixture, head: Head, precision: str) -> None:
    device.setup(DEFAULT.training)
    pair = features(PUBLISHED_SIZE, BATCH, BATCH, CPU, torch.float32)
    ours = head_step(head.pair_logits, *pair, None if precision == "float32" else torch.bfloat16)
    published = published_head(head)
    tolerance = 1e-4 if precision == "float32" else 3e-2
    with FlopCounterMode(display=False) as wanted:
        expected = published()
    with FlopCounterMode(display=False) as needed:
        torch.testing.assert_close(ours(), expected, rtol=tolerance, atol=0)
    benchmark.extra_info |= {
        "ratio": ratio(benchmark, published, ours, 2),
        "reference": "the published head in float32",
        "target": TARGETS[precision],
        "batch": BATCH,
        "ratio of the multiplications": wanted.get_total_flops() / needed.get_total_flops(),
    }


@pytest.mark.benchmark(group="training")
def test_a_whole_step_with_its_data(benchmark: BenchmarkFixture, cohort: Cohort) -> None:
    chosen, training = device.setup(TrainingSettings(batch_size=PAIRS, threads=DEFAULT.training.threads))
    torch.manual_seed(0)
    model = base.load("carzero", ENCODERS, {}, cohort.vocabulary)
    learner = Learner(model, objective.build("info_nce"), training, chosen, ALONE)
    cache = np.stack(
        [cv2.resize(cv2.imread(str(path), 0), (SIDE, SIDE), interpolation=cv2.INTER_AREA) for path in cohort.files]
    )
    studies = data.Studies([str(i) for i in range(STUDIES)], np.arange(STUDIES))
    pairs = data.PairData(cache, studies, OneCaption(cohort.texts), model.tokenize, seed=0)
    state = {"position": data.Position(), "step": 0}

    def ours() -> float:
        at, state["position"] = state["position"].advance(PAIRS, len(pairs))
        state["step"] += 1
        batch = pairs.batch(at, PAIRS, ALONE, chosen, training.augment, state["step"])
        return learner.step(batch, 1e-3, (0, state["step"]))

    published = PublishedStep(cohort.files, cohort.texts, cohort.vocabulary)
    benchmark.extra_info |= {
        "ratio": ratio(benchmark, published, ours, 10),
        "reference": "the published step in float32",
        "target": TARGETS["whole step"],
        "batch": PAIRS,
        "precision": training.precision,
    }

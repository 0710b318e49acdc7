"""Scoring at the published size, beside the published way: ratio, equal numbers, and what bfloat16 moves.

    pytest tests/benchmarks/test_scoring_speed.py --benchmark-only

The published script takes one image at a time and, for each, projects the keys and values of every prompt's 98
slots anew in each of the four layers, though they depend on neither the image nor the layer's input; attention
weights are averaged and returned and then dropped. Both ways score features that are already encoded: ours all of
them, in batches as ``score`` takes them, the published way three images, since a thousand would take half an hour.
"""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from sklearn.metrics import roc_auc_score
from torch import nn

from baselines.base import ImageFeatures, TextFeatures
from benchmark.evaluation.zero_shot import Scorer
from benchmark.tools.gpu_check import PUBLISHED_SIZE, Head
from benchmark.tools.literal_head import LiteralHead

GRID, WIDTH = PUBLISHED_SIZE.grid, PUBLISHED_SIZE.width
PROMPTS, IMAGES, BATCH, LITERAL = 193, 1000, 128, 3
MOST_MOVED = 0.001
TARGETS = {"float32": "8", "bfloat16": "30 where the CPU has AMX"}


@pytest.fixture(scope="module")
def features() -> tuple[ImageFeatures, TextFeatures]:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(IMAGES, GRID * GRID + 1, WIDTH, generator=generator)
    tokens = tokens + 2 * torch.randn(IMAGES, 1, WIDTH, generator=generator)  # cells of an image resemble it
    texts = torch.randn(PROMPTS, PUBLISHED_SIZE.slots + 1, WIDTH, generator=generator)
    grid = tokens[:, 1:].unflatten(1, (GRID, GRID))
    mask = torch.ones(PROMPTS, PUBLISHED_SIZE.slots, dtype=torch.bool)
    return ImageFeatures(tokens[:, 0], grid), TextFeatures(texts[:, 0], texts[:, 1:], mask)


@pytest.fixture(scope="module")
def head() -> Head:
    torch.manual_seed(0)
    model = Head(WIDTH)
    for parameter in model.parameters():  # larger than at the start of training, so that images differ
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.05)
    return model.eval()


@pytest.fixture(scope="module")
def published(head: Head, features: tuple[ImageFeatures, TextFeatures]) -> tuple[np.ndarray, float]:
    """Scores of the first images, one by one, and the seconds of the fastest."""
    literal, (images, texts) = LiteralHead(head.fusion).eval(), features
    rows, seconds = [], []
    with torch.inference_mode():
        for k in range(LITERAL):
            started = time.perf_counter()
            rows.append(torch.stack(literal.pair_logits(images[k : k + 1], texts)).mean(0)[0].numpy())
            seconds.append(time.perf_counter() - started)
    return np.stack(rows), min(seconds)


def scored(scorer: Scorer, images: ImageFeatures, texts: TextFeatures) -> np.ndarray:
    """All images, batch by batch."""
    return np.concatenate(
        [scorer.similarity(images[start : start + BATCH], texts) for start in range(0, len(images), BATCH)]
    )


def aucs(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """AUC of every prompt."""
    return np.array([roc_auc_score(truth[:, k], scores[:, k]) for k in range(scores.shape[1])])


@pytest.fixture(scope="module")
def exact() -> dict[str, np.ndarray]:
    """Where the test of float32 leaves its scores for the comparison with bfloat16."""
    return {}


@pytest.mark.benchmark(group="scoring")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_scoring_1000_images_with_193_prompts(
    benchmark: BenchmarkFixture,
    head: Head,
    features: tuple[ImageFeatures, TextFeatures],
    published: tuple[np.ndarray, float],
    exact: dict[str, np.ndarray],
    precision: str,
) -> None:
    """Findings are drawn so that the exact scores reach AUCs of about 0.75."""
    expected, seconds_an_image = published
    scores = benchmark.pedantic(scored, (Scorer(head, precision=precision), *features), rounds=1)
    tolerance = {"float32": 1e-4, "bfloat16": 0.05}[precision] * np.abs(expected).max()
    np.testing.assert_allclose(scores[:LITERAL], expected, rtol=0, atol=tolerance)
    benchmark.extra_info |= {
        "ratio": IMAGES * seconds_an_image / benchmark.stats["min"],
        "reference": "one image at a time, prompts anew for each",
        "target": TARGETS[precision],
    }
    if precision == "float32":
        exact["scores"] = scores
        return
    right = exact["scores"] if exact else scored(Scorer(head), *features)
    noisy = right + np.random.default_rng(0).normal(size=scores.shape) * scores.std(axis=0)
    truth = noisy > np.median(noisy, axis=0)
    moved = np.abs(aucs(scores, truth) - aucs(right, truth))
    benchmark.extra_info |= {"AUCs": PROMPTS, "most that one moved": float(moved.max())}
    assert moved.max() < MOST_MOVED

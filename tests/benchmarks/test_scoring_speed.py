"""Scoring at the published size, beside the published way: ratio, equal numbers, and what bfloat16 moves.

    pytest tests/benchmarks/test_scoring_speed.py --benchmark-only

The published script takes one picture at a time and, for each, projects the keys and values of every prompt's 98
slots anew in each of the four layers, though they depend on neither the picture nor the layer's input; attention
weights are averaged and returned and then dropped. Both ways score features that are already encoded; the literal
way is timed on a few pictures of the same run, since a thousand would take most of an hour.
"""

import time

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from baselines.base import ImageFeatures, TextFeatures
from baselines.carzero import CARZero
from baselines.fusion import PUBLISHED, Fusion
from benchmark.evaluation.zero_shot import Scorer

WIDTH, GRID, SLOTS, PROMPTS, PICTURES, LITERAL = 768, 14, 97, 193, 64, 2
LEAST = {"float32": 8.0, "bfloat16": 30.0}
HAS_AMX = torch.cpu._is_amx_tile_supported()


class LiteralHead(nn.Module):
    """The released fusion head: nn.MultiheadAttention with its weights returned, one shared LayerNorm."""

    def __init__(self, fusion: Fusion) -> None:
        super().__init__()
        self.fusion = fusion
        self.attention = nn.ModuleList()
        for layer in fusion.layers:
            own = nn.MultiheadAttention(WIDTH, PUBLISHED.heads, batch_first=True)
            own.load_state_dict(layer.multihead_attn.state_dict())
            self.attention.append(own)

    def forward(self, memory: Tensor, query: Tensor) -> Tensor:
        """[B, S, D] and [Q, D] to [B, Q]."""
        memory = self.fusion.decoder_norm(memory)
        x = self.fusion.decoder_norm(query.expand(len(memory), -1, -1))
        for layer, attention in zip(self.fusion.layers, self.attention, strict=True):
            attended, _weights = attention(layer.norm2(x), memory, memory, need_weights=True)
            x = x + attended
            x = x + layer.linear2(torch.relu(layer.linear1(layer.norm3(x))))
        return self.fusion.mlp_head(self.fusion.decoder_norm(x)).squeeze(-1)


class Head(CARZero):
    """CARZero without its towers: features come from outside."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.fusion = Fusion(WIDTH, PUBLISHED)


@pytest.fixture(scope="module")
def features() -> tuple[ImageFeatures, TextFeatures]:
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(PICTURES, GRID * GRID + 1, WIDTH, generator=generator)
    pictures = pictures + 2 * torch.randn(PICTURES, 1, WIDTH, generator=generator)  # cells of a picture resemble it
    texts = torch.randn(PROMPTS, SLOTS + 1, WIDTH, generator=generator)
    grid = pictures[:, 1:].unflatten(1, (GRID, GRID))
    mask = torch.ones(PROMPTS, SLOTS, dtype=torch.bool)
    return ImageFeatures(pictures[:, 0], grid), TextFeatures(texts[:, 0], texts[:, 1:], mask)


@pytest.fixture(scope="module")
def head() -> Head:
    torch.manual_seed(0)
    model = Head()
    for parameter in model.parameters():  # larger than at the start of training, so that pictures differ
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.05)
    return model.eval()


@torch.inference_mode()
def literally(head: Head, images: ImageFeatures, texts: TextFeatures) -> np.ndarray:
    """The published way, picture by picture."""
    literal = LiteralHead(head.fusion).eval()
    text_memory = torch.cat([texts.pooled[:, None], texts.words], dim=1)
    rows = []
    for k in range(len(images)):
        image_memory = torch.cat([images.pooled[k : k + 1, None], images.grid[k : k + 1].flatten(1, 2)], dim=1)
        image_to_text = literal(image_memory, texts.pooled)[0]
        text_to_image = literal(text_memory, images.pooled[k : k + 1])[:, 0]
        rows.append((image_to_text + text_to_image) / 2)
    return torch.stack(rows).numpy()


def mean_auc(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """AUC of every prompt."""
    return np.array([roc_auc_score(truth[:, k], scores[:, k]) for k in range(scores.shape[1])])


@pytest.mark.benchmark(group="1,000 pictures x 193 prompts, width 768")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_scoring(
    benchmark: BenchmarkFixture, head: Head, features: tuple[ImageFeatures, TextFeatures], precision: str
) -> None:
    images, texts = features
    scorer = Scorer(head, precision=precision)
    scores = benchmark.pedantic(scorer.similarity, (images, texts), rounds=3, warmup_rounds=1)
    started = time.perf_counter()
    expected = literally(head, images[:LITERAL], texts)
    plain = (time.perf_counter() - started) / LITERAL
    ours = benchmark.stats.stats.median / PICTURES
    benchmark.extra_info |= {
        "1000 pictures, s": round(1000 * ours, 1),
        "published way, s": round(1000 * plain),
        "ratio": round(plain / ours, 1),
        "amx": HAS_AMX,
    }
    exact = scores if precision == "float32" else Scorer(head).similarity(images, texts)
    np.testing.assert_allclose(exact[:LITERAL], expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    noise = np.random.default_rng(0).normal(size=exact.shape) * exact.std(axis=0)
    truth = exact + noise > np.median(exact + noise, axis=0)
    moved = mean_auc(scores, truth) - mean_auc(exact, truth)
    benchmark.extra_info["mean AUC moved"] = round(float(abs(moved.mean())), 5)
    assert abs(moved.mean()) < 0.001
    if precision == "float32" or HAS_AMX:
        assert plain / ours >= LEAST[precision]

"""What the check of the GPU runs: the published head alone, the whole published-size model, and their input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from baselines import base
from baselines.base import ImageFeatures, TextFeatures
from baselines.carzero import CARZero
from baselines.fusion import Fusion
from baselines.options.carzero import PUBLISHED
from benchmark.training.step import Batch
from offclip.objective import build


@dataclass(frozen=True)
class Size:
    """Shapes of the check."""

    width: int
    grid: int
    slots: int
    batches: tuple[int, ...]
    encoders: dict[str, dict[str, Any]]
    image: int
    chunk: int


PUBLISHED_SIZE = Size(
    768, 14, 97, (64, 128, 256), {"image": {"kind": "vit"}, "text": {"kind": "bert"}}, image=224, chunk=32
)
SMALL_SIZE = Size(
    32, 4, 12, (8, 16),
    {"image": {"kind": "conv", "width": 8, "dim": 32}, "text": {"kind": "words", "dim": 32}}, image=32, chunk=4,
)  # fmt: skip
VOCABULARY = ["there", "is", "no", "effusion", "left", "right", "lung", "opacity", "heart", "clear", "nodule", "lobe"]


class Head(CARZero):
    """CARZero without its towers; weights start large enough for scores to differ, so that rounding can be judged."""

    def __init__(self, width: int) -> None:
        nn.Module.__init__(self)
        self.fusion = Fusion(width, replace(PUBLISHED, dropout=0.0, small_init=False))


def features(
    size: Size, image_count: int, texts: int, device: torch.device, dtype: torch.dtype
) -> tuple[ImageFeatures, TextFeatures]:
    """Random features, leaves that collect gradients."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(device, dtype).requires_grad_()

    mask = torch.ones(texts, size.slots, dtype=torch.bool, device=device)
    images = ImageFeatures(random(image_count, size.width), random(image_count, size.grid, size.grid, size.width))
    return images, TextFeatures(random(texts, size.width), random(texts, size.slots, size.width), mask)


def whole_model(size: Size, batch: int, device: torch.device) -> tuple[CARZero, nn.Module, Batch]:
    """CARZero of ``size``, the OFF-CLIP objective, and a batch for them."""
    torch.manual_seed(0)
    published = {"published": True} if size is PUBLISHED_SIZE else {}
    model: Any = base.load("carzero", size.encoders, published, VOCABULARY).to(device)
    texts = [" ".join(VOCABULARY[(i + j) % len(VOCABULARY)] for j in range(3 + i % 9)) for i in range(batch)]
    pixels = torch.rand(batch, 1, size.image, size.image, generator=torch.Generator().manual_seed(1)).to(device)
    is_normal = torch.arange(batch, device=device) % 3 == 0
    return model, build("off_clip", {}).to(device), Batch(pixels, model.tokenize(texts).to(device), is_normal)

"""CARZero: images and texts scored by cross-attention, both ways (arXiv 2402.17417).

OFF-CLIP trains this very model with another objective and other captions, so it has no file of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from baselines.base import ImageFeatures, TextFeatures
from baselines.config import parse
from baselines.fusion import Fusion, Memory
from baselines.options.carzero import PUBLISHED, FusionOptions, Options
from baselines.two_towers import TwoTowers

PAIRS_AT_ONCE = 16_384
"""Pairs whose activations are held together while scoring (64 MiB at the published feed-forward width)."""


class CARZero(TwoTowers):
    """Two towers of one width (no projection, as released) and the cross-attention head."""

    def __init__(
        self, encoders: Mapping[str, Mapping[str, Any]], fusion: FusionOptions, vocabulary: list[str] | None
    ) -> None:
        super().__init__(encoders, vocabulary)
        self.fusion = Fusion(self.dim, fusion)

    def image_memory(self, images: ImageFeatures, asked: int | None = None) -> Memory:
        """The whole image in slot 0, then its cells; ``asked``: see ``Fusion.remember``."""
        return self.fusion.remember(torch.cat([images.pooled[:, None], images.grid.flatten(1, 2)], dim=1), None, asked)

    def text_memory(self, texts: TextFeatures, asked: int | None = None) -> Memory:
        """The whole text in slot 0, then its words."""
        mask = torch.cat([torch.ones_like(texts.mask[:, :1]), texts.mask], dim=1)
        return self.fusion.remember(torch.cat([texts.pooled[:, None], texts.words], dim=1), mask, asked)

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[Tensor]:
        """Image-to-text (texts ask the image's cells) and text-to-image (images ask the text's words)."""
        return self._score(images, texts, self.text_memory(texts, len(images)))

    def _score(self, images: ImageFeatures, texts: TextFeatures, text_memory: Memory) -> list[Tensor]:
        image_to_text = self.fusion(self.image_memory(images, len(texts)), texts.pooled)  # (B_images, B_texts)
        text_to_image = self.fusion(text_memory, images.pooled)  # (B_texts, B_images)
        return [image_to_text, text_to_image.T]

    def similarity(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Mean of both directions; keys and values are computed once, pairs go through in chunks of images."""
        text_memory = self.text_memory(texts, len(images))
        size = max(1, PAIRS_AT_ONCE // max(len(texts), 1))
        chunks = [images[start : start + size] for start in range(0, len(images), size)]
        return torch.cat([torch.stack(self._score(chunk, texts, text_memory)).mean(0) for chunk in chunks])

    def heatmaps(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Image-to-text attention of each cell, mean over heads and layers; slot 0 is left out."""
        rows, columns = images.grid.shape[1:3]
        weights = self.fusion.attention(self.image_memory(images), texts.pooled).mean(0)[..., 1:]
        maps = weights.unflatten(-1, (rows, columns))
        return torch.nn.functional.pad(maps, [images.border] * 4)


def build(
    encoders: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any], vocabulary: list[str] | None
) -> CARZero:
    """``options``: those of ``Options``; ``published: true`` starts from the released sizes and quirks."""
    chosen = parse(Options, options, "model_options")
    start = PUBLISHED if chosen.published else FusionOptions()
    given = {name: getattr(chosen, name) for name in options if name != "published"}
    return CARZero(encoders, replace(start, **given), vocabulary)

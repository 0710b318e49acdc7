"""CLIP: scaled cosine of two pooled embeddings (arXiv 2103.00020)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.base import Baseline, ImageFeatures, TextBatch, TextFeatures
from baselines.config import parse
from baselines.towers import build_towers

LARGEST_SCALE = 100.0
"""Published upper bound of exp(logit_scale)."""


@dataclass(frozen=True)
class CLIPOptions:
    """CLIP's own options."""

    projection: int | None = None
    """Width of the linear projections behind the towers; None = none, the towers must then have one width."""
    temperature: float = 0.07
    """Start of the learnable temperature."""


class CLIP(Baseline):
    """Two towers, two projections, one learnable temperature."""

    def __init__(
        self, encoders: Mapping[str, Mapping[str, Any]], options: CLIPOptions, vocabulary: list[str] | None
    ) -> None:
        super().__init__()
        self.image, self.text = build_towers(encoders, vocabulary)
        self.vocabulary = self.text.vocabulary
        self.image_projection: nn.Module = nn.Identity()
        self.text_projection: nn.Module = nn.Identity()
        if options.projection:
            self.image_projection = nn.Linear(self.image.dim, options.projection, bias=False)
            self.text_projection = nn.Linear(self.text.dim, options.projection, bias=False)
        elif self.image.dim != self.text.dim:
            raise ValueError(
                f"clip without `projection` needs towers of one width, found image {self.image.dim} and text "
                f"{self.text.dim}; set `model_options: {{projection: 512}}` or `dim` of both towers."
            )
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / options.temperature)))

    def tokenize(self, texts: list[str]) -> TextBatch:
        """See ``Baseline``."""
        return self.text.tokenize(texts)

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """Features of length one, whole and cells."""
        features: ImageFeatures = self.image(pixels)
        return ImageFeatures(
            functional.normalize(self.image_projection(features.pooled), dim=-1),
            functional.normalize(self.image_projection(features.grid), dim=-1),
            features.border,
        )

    def encode_texts(self, tokens: TextBatch) -> TextFeatures:
        """Features of length one, whole and words."""
        features: TextFeatures = self.text(tokens)
        return TextFeatures(
            functional.normalize(self.text_projection(features.pooled), dim=-1),
            functional.normalize(self.text_projection(features.words), dim=-1),
            features.mask,
        )

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[Tensor]:
        """One matrix: cosine times the learnable scale."""
        return [images.pooled @ texts.pooled.T * self.logit_scale.exp().clamp(max=LARGEST_SCALE)]

    def heatmaps(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Cosine of each cell with the text (class activation map of the projected cells)."""
        maps = torch.einsum("bhwd,td->bthw", images.grid, texts.pooled)
        return functional.pad(maps, [images.border] * 4, value=-1.0)


def build(encoders: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any], vocabulary: list[str] | None) -> CLIP:
    """``options``: those of ``CLIPOptions``."""
    return CLIP(encoders, parse(CLIPOptions, options, "model_options"), vocabulary)

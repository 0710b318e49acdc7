"""CLIP: scaled cosine of two pooled embeddings (Radford et al., arXiv 2103.00020)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.base import ImageFeatures, TextFeatures
from baselines.config import parse
from baselines.options.clip import Options
from baselines.two_towers import TwoTowers

LARGEST_SCALE = 100.0
"""Published upper bound of exp(logit_scale), kept by clamping the parameter after each update."""


class CLIP(TwoTowers):
    """Two towers, two projections, one temperature."""

    def __init__(
        self,
        encoders: Mapping[str, Mapping[str, Any]],
        options: Options,
        vocabulary: list[str] | None,
        hidden: bool = False,
    ) -> None:
        super().__init__(encoders, vocabulary, options.projection, hidden)
        start = torch.tensor(math.log(1 / options.temperature))
        self.logit_scale = nn.Parameter(start, requires_grad=options.learn_temperature)

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[Tensor]:
        """One matrix: cosine times the learnable scale."""
        return [self.cosine(images, texts) * self.logit_scale.exp()]

    @torch.no_grad()
    def constrain(self) -> None:
        """Clamp the parameter, as OpenAI does: a clamp in the graph would give it no gradient to come back by."""
        self.logit_scale.clamp_(max=math.log(LARGEST_SCALE))

    def heatmaps(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Cosine of each cell's embedding with the text's."""
        cells, wholes = functional.normalize(images.grid, dim=-1), functional.normalize(texts.pooled, dim=-1)
        return functional.pad(torch.einsum("bhwd,td->bthw", cells, wholes), [images.border] * 4, value=-1.0)


def build(encoders: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any], vocabulary: list[str] | None) -> CLIP:
    """``options``: those of ``Options``."""
    return CLIP(encoders, parse(Options, options, "model_options"), vocabulary)

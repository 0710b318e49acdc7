"""GLoRIA: cosine of the wholes, and of each word with the regions it attends to (Huang et al., ICCV 2021).

A word attends to the cells of the image; its score is the cosine with what it found; a text's local score is the
soft maximum over its words. Two matrices: global and local.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from baselines.base import ImageFeatures, TextFeatures
from baselines.config import parse
from baselines.options.gloria import Options
from baselines.two_towers import TwoTowers

PAIRS_AT_ONCE = 4096
"""Pairs whose word-by-cell attention is held together while scoring."""


def attend(words: Tensor, cells: Tensor, mask: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """What each word of each text finds in each image.

    Each cell first shares itself among the words of the text (softmax over words), then each word shares itself
    among the cells (softmax over cells, sharpened).

    Args:
        words: [T, L, D].
        cells: [B, S, D].
        mask: [T, L] bool.
        temperature: the sharpening factor.

    Returns:
        Attention [B, T, L, S], which sums to 1 over S, and the attended vectors [B, T, L, D].
    """
    scores = torch.einsum("tld,bsd->btls", words, cells)
    shared = scores.masked_fill(~mask[:, :, None], -torch.inf).softmax(2)
    attention = (temperature * shared).softmax(3)
    return attention, torch.einsum("btls,bsd->btld", attention, cells)


def local_similarity(
    words: Tensor, cells: Tensor, mask: Tensor, attention_temperature: float, word_temperature: float
) -> Tensor:
    """Log of the summed exp(temperature * cosine) over a text's words: [B, T]; shapes as in ``attend``."""
    _, found = attend(words, cells, mask, attention_temperature)
    cosine = functional.cosine_similarity(found, words, dim=-1)  # (B, T, L)
    return (word_temperature * cosine).masked_fill(~mask, -torch.inf).logsumexp(2)


class GLoRIA(TwoTowers):
    """Two towers compared as wholes and word by region."""

    def __init__(
        self, encoders: Mapping[str, Mapping[str, Any]], options: Options, vocabulary: list[str] | None
    ) -> None:
        super().__init__(encoders, vocabulary, options.projection)
        self.options = options

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[Tensor]:
        """The global and the local matrix."""
        options = self.options
        local = local_similarity(
            texts.words,
            images.grid.flatten(1, 2),
            texts.mask,
            options.attention_temperature,
            options.word_temperature,
        )
        return [options.score_temperature * self.cosine(images, texts), options.score_temperature * local]

    def similarity(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Mean of both matrices, in chunks of images."""
        size = max(1, PAIRS_AT_ONCE // max(len(texts), 1))
        chunks = (images[start : start + size] for start in range(0, len(images), size))
        return torch.cat([super(GLoRIA, self).similarity(chunk, texts) for chunk in chunks])

    def heatmaps(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Attention of a text's words, averaged over them."""
        cells = images.grid.flatten(1, 2)
        attention, _ = attend(texts.words, cells, texts.mask, self.options.attention_temperature)
        counted = texts.mask[:, :, None]
        mean = (attention * counted).sum(2) / counted.sum(1).clamp(min=1)
        return functional.pad(mean.unflatten(-1, tuple(images.grid.shape[1:3])), [images.border] * 4)


def build(
    encoders: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any], vocabulary: list[str] | None
) -> GLoRIA:
    """``options``: those of ``Options``."""
    return GLoRIA(encoders, parse(Options, options, "model_options"), vocabulary)

"""CARZero's head: a cross-attention decoder that scores one query vector against a set of tokens.

One module serves both directions (text queries on image tokens, image queries on text tokens) and every size.
It is a DETR-style decoder (Carion et al., arXiv 2005.12872) without self-attention, then a small MLP to one score.
Parameter names follow the released checkpoints. Source: CARZero (arXiv 2402.17417), section 3.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from baselines.attention import Layer
from baselines.options.carzero import FusionOptions
from baselines.precision import unrounded, widened


@dataclass(frozen=True)
class Memory:
    """Tokens that queries will ask, as each layer reads them."""

    tokens: Tensor
    """[B, S, D], normed."""
    mask: Tensor | None
    """[B, 1, 1, S] bool, False where padding stands; None = all stand."""
    projected: tuple[tuple[Tensor, Tensor], ...] | None
    """The key/value cache of every layer, each [B, heads, S, D / heads]; None where there are so few queries that
    attending to the tokens directly is cheaper (``Attention.unprojected``)."""


class Decoder(nn.Module):
    """The layers in a row."""

    def __init__(self, dim: int, options: FusionOptions) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            Layer(dim, options.heads, options.ffn, options.dropout) for _ in range(options.layers)
        )


class Fusion(nn.Module):
    """Scores queries against memories."""

    def __init__(self, dim: int, options: FusionOptions) -> None:
        super().__init__()
        self.options = options
        self.decoder = Decoder(dim, options)
        self.decoder_norm = nn.LayerNorm(dim)
        self.memory_norm = self.query_norm = None
        if not options.shared_norm:
            self.memory_norm, self.query_norm = nn.LayerNorm(dim), nn.LayerNorm(dim)
        widths = [dim, *options.mlp]
        hidden: list[nn.Module] = []
        for before, after in pairwise(widths):
            hidden += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(options.dropout)]
        self.dropout = nn.Dropout(options.dropout)
        self.mlp_head = nn.Sequential(*hidden, nn.Linear(widths[-1], 1))
        if options.small_init:
            for name, parameter in self.named_parameters():
                if parameter.ndim > 1 and name.endswith("weight"):
                    nn.init.normal_(parameter, std=0.02)

    @property
    def layers(self) -> list[Layer]:
        """The decoder's layers."""
        return cast("list[Layer]", list(self.decoder.layers))

    def remember(self, tokens: Tensor, mask: Tensor | None = None, asked: int | None = None) -> Memory:
        """Tokens, and the key/value cache of every layer where it saves work.

        Args:
            tokens: [B, S, D].
            mask: [B, S] bool, False for padding; looked at only with ``mask_padding``.
            asked: queries that each memory will be asked in all; None = many.
        """
        normed = (self.memory_norm or self.decoder_norm)(tokens)
        seen = mask[:, None, None, :] if mask is not None and self.options.mask_padding else None
        # Multiplications of a layer: 2 S D^2 + 2 Q S D with the cache, 2 Q D^2 + 2 Q S D heads without.
        slots, dim = tokens.shape[1:]
        if asked is not None and asked * (dim + (self.options.heads - 1) * slots) < slots * dim:
            return Memory(normed, seen, None)
        return Memory(normed, seen, tuple(layer.multihead_attn.project(normed) for layer in self.layers))

    def forward(self, memory: Memory, queries: Tensor) -> Tensor:
        """Score.

        Args:
            memory: of B samples.
            queries: [Q, D], asked of every memory, or [B, Q, D], each its own.

        Returns:
            [B, Q] raw scores.
        """
        *hidden, last = self.mlp_head
        x = self.dropout(self.decode(memory, queries))
        for layer in hidden:
            x = layer(x)
        with unrounded(x.device):
            return last(widened(x)).squeeze(-1)

    def decode(self, memory: Memory, queries: Tensor) -> Tensor:
        """What the queries have become behind the last layer: [B, Q, D]."""
        x = (self.query_norm or self.decoder_norm)(queries)
        for place, layer in enumerate(self.layers):
            if memory.projected is None:
                x = layer.unprojected(x, memory.tokens, memory.mask)
            else:
                x = layer(x, *memory.projected[place], memory.mask)
        return self.decoder_norm(x)

    def attention(self, memory: Memory, queries: Tensor) -> Tensor:
        """Attention of each layer, averaged over heads: [L, B, Q, S]; ``memory`` must have its keys."""
        assert memory.projected is not None
        x = (self.query_norm or self.decoder_norm)(queries)
        weights = []
        for layer, (keys, values) in zip(self.layers, memory.projected, strict=True):
            weights.append(layer.multihead_attn.weights(layer.norm2(x), keys, memory.mask))
            x = layer(x, keys, values, memory.mask)
        return torch.stack(weights)

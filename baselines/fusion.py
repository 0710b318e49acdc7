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
from torch.nn import functional

from baselines.base import Rows


@dataclass(frozen=True)
class FusionOptions:
    """Size of the head, and the published quirks as switches."""

    layers: int = 1
    heads: int = 4
    ffn: int = 128
    mlp: tuple[int, ...] = (64,)
    """Hidden widths of the score MLP."""
    dropout: float = 0.0
    shared_norm: bool = False
    """True: one LayerNorm serves memory, queries and output, as released. False: one each, because image tokens,
    text tokens and decoder outputs are differently distributed and one gain and bias cannot suit all three."""
    mask_padding: bool = True
    """False: padding slots receive attention, as released. True: only real words do; a text's score then does not
    depend on how far its batch was padded."""
    small_init: bool = False
    """True: every matrix starts at normal(0, 0.02), as released for width 768. False: torch's own, which scales with
    the width; at width 64, 0.02 leaves the scores nearly constant and learning starts late."""


PUBLISHED = FusionOptions(
    layers=4, heads=4, ffn=1024, mlp=(1024, 512, 256), dropout=0.1, shared_norm=True, mask_padding=False,
    small_init=True,
)  # fmt: skip


@dataclass(frozen=True)
class Memory(Rows):
    """Tokens as keys and values, computed once and asked many times."""

    keys: Tensor
    """[B, L, heads, S, D / heads], one set per layer."""
    values: Tensor
    """The same shape."""
    mask: Tensor | None
    """[B, 1, 1, S] bool, False where padding stands; None = all stand."""


class CrossAttention(nn.Module):
    """Multi-head attention whose keys and values come from ``project``; parameters as in nn.MultiheadAttention."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)  # (..., S, D) -> (..., heads, S, D / heads)

    def project(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """[B, S, D] tokens to keys and values [B, heads, S, D / heads]."""
        dim = memory.shape[-1]
        both = functional.linear(memory, self.in_proj_weight[dim:], self.in_proj_bias[dim:])
        keys, values = both.chunk(2, dim=-1)
        return self._split(keys), self._split(values)

    def queries(self, x: Tensor) -> Tensor:
        """[..., Q, D] to [..., heads, Q, D / heads]."""
        dim = x.shape[-1]
        return self._split(functional.linear(x, self.in_proj_weight[:dim], self.in_proj_bias[:dim]))

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Queries [B or nothing, Q, D] to [B, Q, D]."""
        queries = self.queries(x).expand(len(keys), -1, -1, -1)
        dropout = self.dropout if self.training else 0.0
        attended = functional.scaled_dot_product_attention(queries, keys, values, mask, dropout)
        return self.out_proj(attended.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        """The attention itself, averaged over heads: [B, Q, S]."""
        queries = self.queries(x).expand(len(keys), -1, -1, -1)
        scores = queries @ keys.transpose(-1, -2) * keys.shape[-1] ** -0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        return scores.softmax(-1).mean(1)


class Layer(nn.Module):
    """Pre-norm cross-attention and feed-forward, both residual."""

    def __init__(self, dim: int, options: FusionOptions) -> None:
        super().__init__()
        self.multihead_attn = CrossAttention(dim, options.heads, options.dropout)
        self.linear1 = nn.Linear(dim, options.ffn)
        self.linear2 = nn.Linear(options.ffn, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Queries [Q, D] (shared by all memories) or [B, Q, D] to [B, Q, D]."""
        x = x + self.dropout(self.multihead_attn(self.norm2(x), keys, values, mask))
        hidden = self.dropout(functional.relu(self.linear1(self.norm3(x))))
        return x + self.dropout(self.linear2(hidden))


class Decoder(nn.Module):
    """The layers in a row."""

    def __init__(self, dim: int, options: FusionOptions) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(dim, options) for _ in range(options.layers))


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

    def remember(self, tokens: Tensor, mask: Tensor | None = None) -> Memory:
        """Keys and values of every layer.

        Args:
            tokens: [B, S, D].
            mask: [B, S] bool, False for padding; looked at only with ``mask_padding``.
        """
        normed = (self.memory_norm or self.decoder_norm)(tokens)
        pairs = [layer.multihead_attn.project(normed) for layer in self.layers]
        keys, values = (torch.stack(part, dim=1) for part in zip(*pairs, strict=True))
        seen = mask[:, None, None, :] if mask is not None and self.options.mask_padding else None
        return Memory(keys, values, seen)

    def forward(self, memory: Memory, queries: Tensor) -> Tensor:
        """Score.

        Args:
            memory: of B samples.
            queries: [Q, D], asked of every memory, or [B, Q, D], each its own.

        Returns:
            [B, Q] raw scores.
        """
        return self.mlp_head(self.dropout(self.decode(memory, queries))).squeeze(-1)

    def decode(self, memory: Memory, queries: Tensor) -> Tensor:
        """What the queries have become behind the last layer: [B, Q, D]."""
        x = (self.query_norm or self.decoder_norm)(queries)
        for place, layer in enumerate(self.layers):
            x = layer(x, memory.keys[:, place], memory.values[:, place], memory.mask)
        return self.decoder_norm(x)

    def attention(self, memory: Memory, queries: Tensor) -> Tensor:
        """Attention of each layer, averaged over heads: [L, B, Q, S]."""
        x = (self.query_norm or self.decoder_norm)(queries)
        weights = []
        for place, layer in enumerate(self.layers):
            keys, values = memory.keys[:, place], memory.values[:, place]
            weights.append(layer.multihead_attn.weights(layer.norm2(x), keys, memory.mask))
            x = layer(x, keys, values, memory.mask)
        return torch.stack(weights)

"""Multi-head attention with a key/value cache, and the pre-norm layer around it.

CARZero's head uses the layer across image and text (baselines/fusion.py), the small text tower within a text
(baselines/towers/words.py). Parameter names follow the released checkpoints. Source: Vaswani et al., arXiv 1706.03762.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def probabilities(queries: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(q k^T / sqrt(d)).

    Args:
        queries: [..., Q, d].
        keys: [..., S, d].
        mask: bool, broadcast to [..., Q, S]; False = not looked at. Each row keeps one True at least.

    Returns:
        [..., Q, S], rows of sum 1.
    """
    scores = (queries * queries.shape[-1] ** -0.5) @ keys.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1)


def attend(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """Attention of [..., Q, d] to [..., S, d], with dropout of its weights: [..., Q, d]."""
    if queries.dtype == torch.bfloat16 and queries.device.type == "cpu":
        # torch 2.13's fused kernel takes 4 to 10 times as long backward in bfloat16 as in float32 for narrow heads.
        return functional.dropout(probabilities(queries, keys, mask), dropout) @ values
    return functional.scaled_dot_product_attention(queries, keys, values, mask, dropout)


class Attention(nn.Module):
    """Multi-head attention, parameters as in nn.MultiheadAttention, in either of two orders of multiplication.

    With W_k, W_v a head's rows of the projections, q a query, p its attention and M the tokens, the scores
    ``q (M W_k^T)^T`` are also ``(q W_k) M^T``, and what is read, ``p (M W_v^T)``, is also ``(p M) W_v^T``: the
    projections are applied once per token (the key/value cache: ``project``, then ``forward``) or once per query
    (``unprojected``).
    """

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
        """The key/value cache of [B, S, D] tokens: keys and values, each [B, heads, S, D / heads]."""
        dim = memory.shape[-1]
        both = functional.linear(memory, self.in_proj_weight[dim:], self.in_proj_bias[dim:])
        keys, values = both.chunk(2, dim=-1)
        return self._split(keys), self._split(values)

    def _queries(self, x: Tensor, memories: int) -> Tensor:
        dim = x.shape[-1]
        queries = self._split(functional.linear(x, self.in_proj_weight[:dim], self.in_proj_bias[:dim]))
        return queries.expand(memories, -1, -1, -1)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Queries [B or nothing, Q, D] to [B, Q, D]."""
        dropout = self.dropout if self.training else 0.0
        attended = attend(self._queries(x, len(keys)), keys, values, mask, dropout)
        return self.out_proj(attended.transpose(1, 2).flatten(2))

    def unprojected(self, x: Tensor, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """``forward`` from [B, S, D] tokens, without their keys and values."""
        to_query, to_key, to_value = self.in_proj_weight.chunk(3)
        query_bias, _, value_bias = self.in_proj_bias.chunk(3)  # the softmax takes the keys' bias away again
        to_key, to_value = (part.unflatten(0, (self.heads, -1)) for part in (to_key, to_value))  # (heads, d, D)
        queries = functional.linear(x, to_query, query_bias).unflatten(-1, (self.heads, -1))  # ([B,] Q, heads, d)
        asked = torch.einsum("...qhd,hde->...qhe", queries, to_key * to_key.shape[1] ** -0.5).flatten(-3, -2)
        # Queries that all memories share, (Q heads, D), ask all tokens in one product.
        scores = (tokens @ asked.mT).mT if asked.ndim == 2 else asked @ tokens.mT  # (B, Q heads, S)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, 0], -torch.inf)
        dropout = self.dropout if self.training else 0.0
        weights = functional.dropout(scores.softmax(-1), dropout)
        read = (weights @ tokens).unflatten(1, (-1, self.heads))  # (B, Q, heads, D)
        values = torch.einsum("bqhe,hde->bqhd", read, to_value)
        bias = value_bias.unflatten(0, (self.heads, -1))
        if dropout:  # what is left of the attention sums to one no longer
            bias = bias * weights.sum(-1).unflatten(1, (-1, self.heads))[..., None]
        return self.out_proj((values + bias).flatten(2))

    def weights(self, x: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
        """The attention itself, averaged over heads: [B, Q, S]."""
        return probabilities(self._queries(x, len(keys)), keys, mask).mean(1)


class Layer(nn.Module):
    """Pre-norm attention and feed-forward, both residual."""

    def __init__(self, dim: int, heads: int, ffn: int, dropout: float) -> None:
        super().__init__()
        self.multihead_attn = Attention(dim, heads, dropout)
        self.linear1 = nn.Linear(dim, ffn)
        self.linear2 = nn.Linear(ffn, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.norm3 = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Queries [Q, D] (shared by all memories) or [B, Q, D] to [B, Q, D]."""
        return self._fed_forward(x, self.multihead_attn(self.norm2(x), keys, values, mask))

    def unprojected(self, x: Tensor, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """``forward`` from [B, S, D] tokens, without their keys and values."""
        return self._fed_forward(x, self.multihead_attn.unprojected(self.norm2(x), tokens, mask))

    def _fed_forward(self, x: Tensor, attended: Tensor) -> Tensor:
        x = x + self.dropout(attended)
        hidden = self.dropout(functional.relu(self.linear1(self.norm3(x))))
        return x + self.dropout(self.linear2(hidden))

    def within(self, x: Tensor, mask: Tensor) -> Tensor:
        """Self-attention: tokens [B, S, D] to the same shape; ``mask`` bool [B, S], False for padding."""
        keys, values = self.multihead_attn.project(self.norm2(x))
        return self(x, keys, values, mask[:, None, None, :])

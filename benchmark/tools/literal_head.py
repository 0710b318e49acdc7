"""The published cross-attention head, literally: ours is measured against its speed and checked against its numbers.

nn.MultiheadAttention with its weights returned; the query repeated for every memory; keys and values projected
from the once-normed memory in each layer (CARZero and OFF-CLIP releases, facts only). It shares the shipped
head's parameters, so both compute one function. Nothing trains with it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.base import ImageFeatures, TextFeatures
from baselines.fusion import Fusion


class LiteralHead(nn.Module):
    """The released way to compute a ``Fusion``; gradients of the attention reach its own copies of the weights."""

    def __init__(self, fusion: Fusion) -> None:
        super().__init__()
        self.fusion = fusion
        self.attention = nn.ModuleList()
        for layer in fusion.layers:
            own = nn.MultiheadAttention(
                layer.linear2.out_features, fusion.options.heads, fusion.options.dropout, batch_first=True
            )
            own.load_state_dict(layer.multihead_attn.state_dict())
            self.attention.append(own)

    def forward(self, memory: Tensor, query: Tensor) -> Tensor:
        """[B, S, D] tokens and [Q, D] queries to [B, Q] scores."""
        memory = (self.fusion.memory_norm or self.fusion.decoder_norm)(memory)
        x = (self.fusion.query_norm or self.fusion.decoder_norm)(query.repeat(len(memory), 1, 1))
        for layer, attention in zip(self.fusion.layers, self.attention, strict=True):
            attended, _weights = attention(layer.norm2(x), memory, memory, need_weights=True)
            x = x + layer.dropout(attended)
            hidden = layer.dropout(torch.relu(layer.linear1(layer.norm3(x))))
            x = x + layer.dropout(layer.linear2(hidden))
        return self.fusion.mlp_head(self.fusion.dropout(self.fusion.decoder_norm(x))).squeeze(-1)

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[Tensor]:
        """Both directions, padding slots attended to, as released."""
        image = torch.cat([images.pooled[:, None], images.grid.flatten(1, 2)], dim=1)
        text = torch.cat([texts.pooled[:, None], texts.words], dim=1)
        return [self(image, texts.pooled), self(text, images.pooled).T]

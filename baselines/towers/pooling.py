"""From the features of places (or words) to one vector and one vector each, in one space.

The same linear head is read in two ways, so that a place's embedding is the embedding of an image made of that
place alone; heatmaps of models without attention rest on this.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class MeanMaxHead(nn.Module):
    """Linear map of [mean; max] over the tokens; for a single token, of [token; token]."""

    def __init__(self, channels: int, dim: int) -> None:
        super().__init__()
        self.channels = channels
        self.linear = nn.Linear(2 * channels, dim)

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Pool and project.

        Args:
            tokens: [B, N, C].
            mask: [B, N] bool, at least one True in each row; None = all.

        Returns:
            The whole [B, D] and its parts [B, N, D]; parts are zero where ``mask`` is False.
        """
        if mask is None:
            mean, largest = tokens.mean(1), tokens.amax(1)
        else:
            counted = mask[..., None]
            mean = (tokens * counted).sum(1) / counted.sum(1)
            largest = tokens.masked_fill(~counted, -torch.inf).amax(1)
        whole = self.linear(torch.cat([mean, largest], dim=1))
        weight = self.linear.weight[:, : self.channels] + self.linear.weight[:, self.channels :]
        parts = functional.linear(tokens, weight, self.linear.bias)
        return whole, parts if mask is None else parts * mask[..., None]

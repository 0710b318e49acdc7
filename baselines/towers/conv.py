"""A small convolutional image tower that learns from scratch in minutes on two CPU cores.

A 4x4 stride-2 stem, then two stride-2 stages with one residual block (He et al., arXiv 1512.03385) each:
an 80 px picture becomes a 10x10 grid. Group normalisation keeps a picture's features independent of its batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.base import ImageFeatures
from baselines.config import ConvOptions
from baselines.towers.base import ImageTower
from baselines.towers.pooling import MeanMaxHead

GROUPS = 4
STRIDE = 8
"""Pixels of the input per cell of the grid."""


def _normalised(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.GroupNorm(GROUPS, convolution.out_channels))


class Residual(nn.Module):
    """relu(x + f(x)), f = two 3x3 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _normalised(nn.Conv2d(channels, channels, 3, padding=1, bias=False))
        self.second = _normalised(nn.Conv2d(channels, channels, 3, padding=1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to the same shape."""
        return torch.relu(x + self.second(torch.relu(self.first(x))))


class ConvTower(ImageTower):
    """[B, 1, S, S] in [0, 1] to ``ImageFeatures`` with an S/8 grid."""

    def __init__(self, options: ConvOptions) -> None:
        super().__init__()
        if options.width % GROUPS:
            raise ValueError(f"`encoders.image.width` must be a multiple of {GROUPS}, found {options.width}.")
        width = options.width
        self.dim = options.dim
        # Two coordinate channels tell left from right and top from bottom (CoordConv, arXiv 1807.03247).
        self.stem = _normalised(nn.Conv2d(3, width, 4, stride=2, padding=1, bias=False))
        self.stages = nn.ModuleList(
            nn.Sequential(
                _normalised(nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False)),
                nn.ReLU(),
                Residual(2 * channels),
            )
            for channels in (width, 2 * width)
        )
        self.head = MeanMaxHead(4 * width, options.dim)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, pixels: Tensor) -> ImageFeatures:
        """[B, 1, S, S] float in [0, 1]; S a multiple of 8."""
        batch, _, height, width = pixels.shape
        if height % STRIDE or width % STRIDE:
            raise ValueError(f"pictures must have sides that are multiples of {STRIDE}, found {height}x{width}.")
        y = torch.linspace(-1, 1, height, device=pixels.device, dtype=pixels.dtype)[:, None].expand(height, width)
        x = torch.linspace(-1, 1, width, device=pixels.device, dtype=pixels.dtype)[None, :].expand(height, width)
        place = torch.stack([y, x]).expand(batch, 2, height, width)
        features = torch.cat([2 * pixels - 1, place], dim=1).contiguous(memory_format=torch.channels_last)
        features = torch.relu(self.stem(features))
        for stage in self.stages:
            features = stage(features)
        rows, columns = features.shape[2:]
        pooled, cells = self.head(features.permute(0, 2, 3, 1).flatten(1, 2))  # (B, h*w, C)
        return ImageFeatures(pooled, cells.unflatten(1, (rows, columns)))

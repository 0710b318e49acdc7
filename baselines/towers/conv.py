"""A small convolutional image tower that learns from scratch in minutes on two CPU cores.

A 4x4 stride-2 stem, then two stride-2 stages with one residual block (He et al., arXiv 1512.03385) each:
a 64 px image becomes an 8x8 grid. Filters are standardised instead of activations (Brock et al., arXiv 2101.08692),
which learns as quickly as batch normalisation here and keeps an image's features independent of its batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines import checkpoints
from baselines.base import ImageFeatures, load_exactly
from baselines.config import ConvOptions
from baselines.towers.base import ImageTower
from baselines.towers.pooling import MeanMaxHead

STRIDE = 8
"""Pixels of the input per cell of the grid."""
FLAT = 0.05
"""Spread below which an image counts as flat and is not blown up."""
GAIN = 1.7
"""Makes relu keep the variance of a normal input: sqrt(2 / (1 - 1 / pi))."""


class StandardisedConv(nn.Conv2d):
    """Convolution whose filters have mean 0 and variance 1 / fan-in, times a learnable gain.

    Scaled weight standardisation (Brock et al., arXiv 2101.08692) in place of batch statistics.
    """

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, padding: int) -> None:
        super().__init__(inputs, outputs, size, stride, padding)
        self.gain = nn.Parameter(torch.ones(outputs, 1, 1, 1))

    def forward(self, x: Tensor, factor: Tensor | float = 1.0) -> Tensor:
        """[B, C, h, w] to [B, C', h', w'], times a scalar (which costs nothing on the filters)."""
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        fan_in = self.weight[0].numel()
        weight = (self.weight - mean) * (torch.rsqrt(variance * fan_in + 1e-6) * self.gain * factor)
        assert self.bias is not None
        return self._conv_forward(x, weight.contiguous(memory_format=torch.channels_last), self.bias * factor)


class Residual(nn.Module):
    """relu(x + a f(x)), f = two 3x3 convolutions, a learnable and small at first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = StandardisedConv(channels, channels, 3, 1, 1)
        self.second = StandardisedConv(channels, channels, 3, 1, 1)
        self.scale = nn.Parameter(torch.tensor(0.3))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to the same shape."""
        return torch.relu(x + self.second(torch.relu(self.first(x)), GAIN * self.scale))


def _standardised(pixels: Tensor) -> Tensor:
    """Each image with mean 0 and about unit spread: exposure and gain differ between detectors, anatomy does not."""
    # Several times as quick on a CPU as torch.std_mean over two dimensions.
    centred = pixels - pixels.mean((2, 3), keepdim=True)
    return centred / (centred.square().mean((2, 3), keepdim=True).sqrt() + FLAT)


class ConvTower(ImageTower):
    """[B, 1, S, S] in [0, 1] to ``ImageFeatures`` with an S/8 grid."""

    cells_are_images = True  # MeanMaxHead

    def __init__(self, options: ConvOptions) -> None:
        super().__init__()
        width = options.width
        self.dim = options.dim
        # Two coordinate channels distinguish left from right and top from bottom (CoordConv, arXiv 1807.03247).
        self.stem = StandardisedConv(3, width, 4, 2, 1)
        self.stages = nn.ModuleList(
            nn.Sequential(
                StandardisedConv(channels, 2 * channels, 3, 2, 1),
                nn.ReLU(),
                Residual(2 * channels),
            )
            for channels in (width, 2 * width)
        )
        self.head = MeanMaxHead(4 * width, options.dim)
        if options.init:
            load_exactly(self, checkpoints.read(options.init), options.init)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def standardise(self, pixels: Tensor) -> None:
        """Give the pooled features mean 0 and variance 1 over some images.

        At random filters all images look nearly the same to the head, and learning stands still until it has found
        the difference, or dies (data-dependent initialisation: Salimans and Kingma, arXiv 1602.07868).

        Args:
            pixels: [B, 1, S, S] in [0, 1], B some hundreds.
        """
        spread, mean = torch.std_mean(self(pixels).pooled, dim=0)
        linear = self.head.linear
        linear.bias.copy_((linear.bias - mean) / spread)
        linear.weight.div_(spread[:, None])

    def forward(self, pixels: Tensor) -> ImageFeatures:
        """[B, 1, S, S] float in [0, 1]; S a multiple of 8."""
        batch, _, height, width = pixels.shape
        if height % STRIDE or width % STRIDE:
            raise ValueError(f"images must have sides that are multiples of {STRIDE}, found {height}x{width}.")
        y = torch.linspace(-1, 1, height, device=pixels.device, dtype=pixels.dtype)[:, None].expand(height, width)
        x = torch.linspace(-1, 1, width, device=pixels.device, dtype=pixels.dtype)[None, :].expand(height, width)
        place = torch.stack([y, x]).expand(batch, 2, height, width)
        features = torch.cat([_standardised(pixels), place], dim=1).contiguous(memory_format=torch.channels_last)
        features = torch.relu(self.stem(features))
        for stage in self.stages:
            features = stage(features)
        rows, columns = features.shape[2:]
        pooled, cells = self.head(features.permute(0, 2, 3, 1).flatten(1, 2))  # (B, h*w, C)
        return ImageFeatures(pooled, cells.unflatten(1, (rows, columns)))

"""Images in the cache -> images for a step.

``light`` is one affine resampling (small shift, scale and rotation), then brightness and contrast. It never
mirrors: reports speak of left and right. ``published`` is the releases' recipe (crop 224/256,
mirror with probability 0.3, rotation 30 degrees, shift 0.1, scale 0.9-1.1, jitter 0.8-1.2), kept to
compare; mirroring makes its captions wrong about the side. Its crop comes out at the crop's own size, 224 of
256 px, so that an image tower of 224 px takes it whole and does not crop a second time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Recipe:
    """Ranges of one augmentation; each is drawn uniformly and per image."""

    degrees: float
    shift: float
    """Largest shift, part of the side."""
    scale: tuple[float, float]
    brightness: float
    contrast: float
    mirror: float = 0.0
    """Probability of a horizontal flip."""
    crop: float = 1.0
    """Side of the random crop, part of the side."""


RECIPES = {
    "light": Recipe(degrees=5, shift=0.04, scale=(0.95, 1.05), brightness=0.1, contrast=0.15),
    "published": Recipe(
        degrees=30, shift=0.1, scale=(0.9, 1.1), brightness=0.2, contrast=0.2, mirror=0.3, crop=224 / 256
    ),
}


def to_unit(images: Tensor) -> Tensor:
    """uint8 [B, S, S] -> float32 [B, 1, S, S] in [0, 1]."""
    return images.unsqueeze(1).float().mul_(1 / 255)


def draw(total: int, generator: torch.Generator) -> Tensor:
    """Uniform numbers in [0, 1) for a batch over all processes, float32 [7, total]; a process takes its columns."""
    return torch.rand(7, total, generator=generator)


def augment(pixels: Tensor, kind: str, draws: Tensor) -> Tensor:
    """Augment a batch.

    Args:
        pixels: float32 [B, 1, S, S] in [0, 1].
        kind: ``none``, ``light`` or ``published``.
        draws: float32 [7, B], from ``draw``.

    Returns:
        float32 [B, 1, R, R] in [0, 1], R = S but for ``published``: the crop's side, S * 224 / 256.
    """
    if kind == "none":
        return pixels
    recipe = RECIPES[kind]
    signed = draws * 2 - 1  # (7, b) in [-1, 1]
    low, high = recipe.scale
    # The matrix maps output to input coordinates in [-1, 1]: a smaller factor shows less of the image.
    factor = recipe.crop / (low + (high - low) * draws[0])
    angle = signed[1] * math.radians(recipe.degrees)
    shift = signed[2:4] * (2 * recipe.shift + (1 - recipe.crop))
    sign = torch.where(draws[4] < recipe.mirror, -1.0, 1.0)
    cos, sin = torch.cos(angle) * factor, torch.sin(angle) * factor
    matrix = torch.stack([cos * sign, -sin, shift[0], sin * sign, cos, shift[1]], dim=1).view(-1, 2, 3)
    side = round(pixels.shape[-1] * recipe.crop)
    grid = F.affine_grid(matrix, [*pixels.shape[:2], side, side], align_corners=False)
    moved = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    gain = (1 + recipe.contrast * signed[5]).view(-1, 1, 1, 1)
    offset = (recipe.brightness * signed[6]).view(-1, 1, 1, 1)
    mean = moved.mean((1, 2, 3), keepdim=True)
    return torch.clamp_(torch.addcmul(mean * (1 - gain) + offset, moved, gain), 0, 1)

"""Batches of every kind, and raw scores for them."""

from __future__ import annotations

import torch
from torch import Tensor

MIXED = [True, False, True, True, False, False]
BATCHES = {
    "mixed": MIXED,
    "no abnormal": [True] * 4,
    "one abnormal": [True, True, False, True],
    "all abnormal": [False] * 4,
    "one normal": [False, True, False],
    "one pair, normal": [True],
    "one pair, abnormal": [False],
}
"""Whether each pair is normal."""


def logits(size: int, seed: int = 3) -> Tensor:
    """[size, size] float64 scores of a plausible spread that ask for gradients."""
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(size, size, generator=generator, dtype=torch.float64)).requires_grad_()

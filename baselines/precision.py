"""Scores keep float32 under autocast: rounded to bfloat16's eight bits, images that differ would tie."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def unrounded(device: torch.device) -> AbstractContextManager[None]:
    """Where a score is computed from what went before: no autocast."""
    return torch.autocast(device.type, enabled=False)


def widened(x: Tensor) -> Tensor:
    """``x`` in float32, or as it is where it has more."""
    return x.to(torch.promote_types(x.dtype, torch.float32))

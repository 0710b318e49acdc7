"""Builds a model whose every tensor is read from a file afterwards, without drawing random weights first.

Drawing those of a tower of published size takes seconds, more than reading them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

RANDOM = frozenset(
    ("normal_", "uniform_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_")
)
"""Functions of torch and torch.nn.init that fill the tensor they are given from the random generator."""


class Unfilled(TorchFunctionMode):
    """Within ``with Unfilled():`` tensors that would be filled at random are filled with one number; constants are set.

    Not left as memory was: a truncated normal draws again until every value lies within its bounds, and what stood in
    memory never would. Of a normal distribution the number is its mean, else 0.

    For models alone that are then given every tensor (``load_exactly``, ``take_weights``), and that keep no tensor
    which is random outside their state.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call ``func``, unless it would fill a tensor at random."""
        named = kwargs or {}
        if getattr(func, "__name__", "") in RANDOM:
            tensor = args[0] if args else named["tensor"]
            mean = (named.get("mean", args[1] if len(args) > 1 else 0.0)) if func.__name__ == "normal_" else 0.0
            with torch.no_grad():
                return tensor.fill_(mean)
        return func(*args, **named)

"""Builds a model whose every tensor is read from a file afterwards, without drawing random weights first.

Drawing those of a tower of published size takes seconds, more than reading them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.overrides import TorchFunctionMode

RANDOM = frozenset(
    ("normal_", "uniform_", "trunc_normal_", "kaiming_normal_", "kaiming_uniform_", "xavier_normal_", "xavier_uniform_")
)
"""Functions of torch and torch.nn.init that fill the tensor they are given from the random generator."""


class Unfilled(TorchFunctionMode):
    """Within ``with Unfilled():`` tensors that would be filled at random stay as memory was; constants are set.

    For models alone that are then given every tensor (``load_exactly``, ``take_weights``), and that keep no tensor
    which is random outside their state.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call ``func``, unless it would fill a tensor at random."""
        named = kwargs or {}
        if getattr(func, "__name__", "") in RANDOM:
            return args[0] if args else named["tensor"]
        return func(*args, **named)

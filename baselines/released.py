"""What the released models share that are evaluated and never trained: weights, preprocessing, prompts, refusals.

A model of this kind subclasses ``Released``, whose ``input_size`` is the smallest side of the cache that it can read,
keeps its options in a dataclass with ``checkpoint`` and ``prompts``, and fills itself with ``take_weights``.
Preprocessing is done on tensors [B, C, S, S] float32 in [0, 1], on the model's device.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from baselines import checkpoints
from baselines.base import Baseline, Recipe, differing
from baselines.config import parse
from baselines.precision import unrounded

Options = TypeVar("Options")

IN_RECIPE = "(saved by this harness)"
"""Stands for ``checkpoint`` in the recipe of a saved model: the weights lie beside the recipe."""
INDEX_BUFFERS = re.compile(r"(^|\.)(position_ids|relative_position_index)$")
"""Integer tables that follow from the architecture; library versions differ in whether they save them."""


class Released(Baseline):
    """A model of given weights. Subclasses say which pixels they need and which prompts they were published with."""

    label: ClassVar[str]
    """How errors call it."""
    input_size: ClassVar[int]
    """Smallest side of the cached square, pixels."""
    evaluate_only: ClassVar[bool] = True
    own_prompts: Mapping[str, tuple[str, ...]] = {}
    """Finding in lower case -> the published sentences; what is not here is asked for in the common wording."""

    def train(self, mode: bool = True) -> Released:
        """Evaluation mode.

        Raises:
            ValueError: ``mode`` is True.
        """
        if mode:
            raise ValueError(f"{self.label} is a released model that is evaluated only; it cannot be trained.")
        super().train(False)
        return self

    def sentences(self, finding: str, common: Sequence[str]) -> tuple[str, ...]:
        """What asks for ``finding``: the published sentences under ``prompts: own`` where there are any."""
        own = self.own_prompts.get(finding.lower(), ()) if self.prompts == "own" else ()
        return own or tuple(common)

    def require_size(self, size: int) -> None:
        """Refuse a cache that holds less than the model looks at.

        Raises:
            ValueError: ``size`` (pixels) is below ``input_size``.
        """
        require_size(self.label, self.input_size, size)


def require_size(who: str, least: int, size: int) -> None:
    """Refuse a cache of less than ``least`` pixels.

    Raises:
        ValueError: names the ``cohort.size`` to set.
    """
    if size < least:
        raise ValueError(
            f"{who} reads images of {least} pixels, the cache holds {size}; "
            f"set `cohort.size: {least}` or more and prepare the cohort again."
        )


def released_options(options: type[Options], values: Mapping[str, Any], label: str) -> Options:
    """The model's options, whose ``checkpoint`` must be given.

    Raises:
        ValueError: no checkpoint, an unknown option, or a value that it cannot have.
    """
    if not values.get("checkpoint"):
        raise ValueError(f"{label} is a released model that is evaluated only; give its file as `checkpoint`.")
    return parse(options, values, "model_options")


def saved_recipe(model: str, options: Mapping[str, Any], vocabulary: list[str] | None) -> Recipe:
    """What ``restore`` rebuilds the model from once the released file is gone."""
    return Recipe(model, {}, {**options, "checkpoint": IN_RECIPE}, vocabulary)


def read_weights(path: str) -> dict[str, Tensor]:
    """The tensors of a released file without its index buffers; nothing in the file is run (``checkpoints.read``)."""
    return {name: tensor for name, tensor in checkpoints.read(path).items() if not INDEX_BUFFERS.search(name)}


def take_weights(
    model: nn.Module,
    weights: Mapping[str, Tensor],
    released_names: Mapping[str, str],
    unread: Mapping[str, Sequence[int]],
    source: str,
) -> None:
    """Load a released state dict that must hold exactly what the list of the release holds.

    Args:
        model: whose tensors are filled.
        weights: released name -> tensor, of ``read_weights``.
        released_names: beginning of this package's names -> beginning of the released ones; the longest counts.
        unread: released names and shapes of tensors that must be there though no score reads them.
        source: the file, for the error.

    Raises:
        ValueError: tensors are missing, unexpected or misshapen; the first of each kind are named.
    """
    own = model.state_dict()
    released = {_renamed(name, released_names): name for name in own if not INDEX_BUFFERS.search(name)}
    expected = {name: list(own[mine].shape) for name, mine in released.items()}
    expected |= {name: list(shape) for name, shape in unread.items()}
    found = {name: list(tensor.shape) for name, tensor in weights.items()}
    if problems := differing(expected, found):
        raise ValueError(f"{source} is not the released file: {problems}.")
    index = {name: tensor for name, tensor in own.items() if INDEX_BUFFERS.search(name)}
    model.load_state_dict({mine: weights[name] for name, mine in released.items()} | index)


def _renamed(name: str, beginnings: Mapping[str, str]) -> str:
    own = max((start for start in beginnings if name.startswith(start)), key=len, default=None)
    return name if own is None else beginnings[own] + name.removeprefix(own)


def resized(pixels: Tensor, height: int, width: int, interpolation: str) -> Tensor:
    """Change the size of [B, C, H, W]; what comes out are multiples of 1/255 in [0, 1], as the libraries' 8 bits.

    ``area`` is OpenCV's INTER_AREA for shrinking (each pixel is the mean over the rectangle it covers); ``bilinear``
    and ``bicubic`` are Pillow's: antialiased, columns first, and 8 bits in between too.
    """
    if pixels.shape[-2:] == (height, width):
        return pixels
    with unrounded(pixels.device):
        # Whole levels and weights in float64, so that halves are halves and are rounded alike everywhere.
        levels = pixels.double().mul(255).round()
        down, across = (
            _weights(before, after, interpolation).to(pixels.device)
            for before, after in zip(pixels.shape[-2:], (height, width), strict=True)
        )
        levels = levels @ across.T
        if interpolation != "area":
            levels = _eight_bits(levels)
        return (_eight_bits(down @ levels) / 255).to(pixels.dtype)


def _eight_bits(levels: Tensor) -> Tensor:
    return levels.add(0.5).floor().clamp(0, 255)


@lru_cache(maxsize=32)
def _weights(before: int, after: int, interpolation: str) -> Tensor:
    """[after, before] float64: what each old pixel gives to each new one along one axis; rows sum to 1."""
    left = torch.arange(before, dtype=torch.float64)
    scale = before / after
    edges = torch.arange(after + 1, dtype=torch.float64)[:, None] * scale
    if interpolation == "area":
        weights = (torch.minimum(edges[1:], left + 1) - torch.maximum(edges[:-1], left)).clamp(min=0)
        return weights / weights.sum(1, keepdim=True)
    x = (left + 0.5 - (edges[:-1] + scale / 2)).abs() / max(scale, 1.0)
    if interpolation == "bilinear":
        weights = (1 - x).clamp(min=0)
    else:  # Keys' cubic with a = -1/2
        weights = torch.where(x < 1, (1.5 * x - 2.5) * x**2 + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2) * (x < 2)
    weights = weights / weights.sum(1, keepdim=True)
    return weights.mul(2**22).round() / 2**22  # Pillow's fixed point


def cropped(pixels: Tensor, size: int) -> Tensor:
    """The central square of [B, C, S, S]; an odd remainder goes right and below."""
    top, left = ((side - size) // 2 for side in pixels.shape[-2:])
    return pixels[..., top : top + size, left : left + size]


def normalised(pixels: Tensor, mean: float | Sequence[float], std: float | Sequence[float]) -> Tensor:
    """Grey [B, 1, S, S] to three channels [B, 3, S, S]: (x - mean) / std, numbers for all or for each channel."""
    centre, spread = (torch.as_tensor(value).to(pixels).reshape(-1, 1, 1) for value in (mean, std))
    return ((pixels - centre) / spread).expand(-1, 3, -1, -1)

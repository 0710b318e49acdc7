"""Options of the released RadZero (baselines/radzero.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baselines.options import ModelOptions


@dataclass(frozen=True)
class Options(ModelOptions):
    """Where the released file lies, and which of the published quirks are kept."""

    checkpoint: str
    """The training's state dict or the hub's file."""
    tokenizer: str = "sentence-transformers/all-mpnet-base-v2"
    """``vocab.txt``, a folder with one, or the hub's name of the text encoder that was trained."""
    prompts: Literal["common", "own"] = "common"
    """``own`` is the same: the published template is that of the common prompts ("There is ...")."""
    stretch: bool = True
    """Published for classification and ChestX-Det10: each image's grey values are stretched to 0 ... 255 first. False:
    as published for MS-CXR, SIIM and RSNA."""
    positions: Literal["scale", "size"] = "scale"
    """How a table of positions that was trained at another size is made 37 x 37: ``scale`` (published, transformers
    4.39) assumes 37.1 cells, ``size`` (later versions) 37."""
    mean: tuple[float, ...] | None = None
    """Of each channel, of grey values in [0, 1]; None = as ``preprocessor_config.json`` in the tokenizer's folder says,
    or BLIP's where there is none."""
    std: tuple[float, ...] | None = None
    """Standard deviations, likewise."""

"""Lets torchvision be imported beside a CPU build of torch.

torchvision's wheel may exist as a CUDA build only. Its compiled operators then do not load on a CPU torch, and its
import dies with "operator torchvision::nms does not exist", and with it timm, open_clip and transformers' models,
none of which need those operators here. Declaring the missing schemas before the import is enough.
"""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path

import torch
from torch import library as torch_operators

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


@cache
def apply() -> torch_operators.Library | None:
    """Declare the operators if torchvision's own do not load. Call before importing timm, open_clip or transformers.

    Returns:
        The library that holds the declarations (it must stay alive, hence the cache), or None where nothing was
        needed: torchvision is absent, already imported, or its operators load.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or "torchvision" in sys.modules:
        return None
    for extension in Path(spec.origin).parent.glob("_C*"):
        try:
            torch.ops.load_library(extension)
            return None
        except OSError:
            continue
    library = torch_operators.Library("torchvision", "DEF")
    for schema in SCHEMAS:
        library.define(schema)
    return library

"""Reads the tensors out of somebody else's checkpoint without running any of its code.

A .ckpt file is a pickle, and a pickle can call anything. torch's ``weights_only`` unpickler refuses every class it
does not know; the classes that the releases are known to contain (an OmegaConf configuration beside the weights)
are read into an inert object that keeps nothing.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

CONTAINERS = ("state_dict", "model_state_dict")
"""Keys under which Lightning and plain training loops keep the weights."""
INERT = re.compile(
    r"(omegaconf|antlr4|pytorch_lightning|lightning|lightning_fabric|collections|typing|pathlib|numpy|enum)\."
    r"|(builtins|__builtin__)\.(dict|list|tuple|set|int|float|str|bool|object)$"
)
"""Classes that may stand beside the weights; each is replaced by ``Inert``, none is imported."""


class Inert:
    """Stands for any foreign object; accepts whatever the pickle does to it and does nothing."""

    def __new__(cls, *arguments: Any, **options: Any) -> Inert:
        """Whatever it is called with."""
        return object.__new__(cls)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Nothing is kept."""

    def __setstate__(self, state: Any) -> None:
        """Nothing is kept."""

    def __setitem__(self, key: Any, value: Any) -> None:
        """Nothing is kept."""


def read(path: str | Path, parts: Sequence[str] = ()) -> dict[str, Tensor]:
    """The state dict of a .ckpt, .pt, .pth, .bin or .safetensors file, on the CPU.

    Args:
        path: the file.
        parts: keys under which a release keeps one state dict each; they are joined, ``<key>.`` before each name.

    Raises:
        ValueError: the file is missing, unreadable, holds classes that are not allowed, or no weights.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"the checkpoint {path} does not exist; download it and set its path.")
    content: Any = _safetensors(path) if path.suffix == ".safetensors" else _unpickled(path)
    for key in CONTAINERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if parts and isinstance(content, Mapping):
        content = {name: value for name, value in content.items() if name not in parts} | {
            f"{part}.{name}": value
            for part in parts
            if isinstance(content.get(part), Mapping)
            for name, value in content[part].items()
        }
    weights = {k: v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, Mapping) else {}
    if not weights:
        raise ValueError(f"{path} holds no weights: neither {' nor '.join(CONTAINERS)} nor tensors at the top.")
    return weights


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file ({error}).") from None


def _unpickled(path: Path) -> Any:
    """What the file holds, foreign configuration objects replaced, everything else foreign refused."""
    try:
        foreign = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        refused = sorted(name for name in foreign if not INERT.match(name))
        if not refused:
            with torch.serialization.safe_globals([(Inert, name) for name in foreign]):
                return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, OSError, RuntimeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} cannot be read as a torch checkpoint ({reason}); download it again.") from None
    raise ValueError(f"{path} holds objects of classes that are not allowed: {', '.join(refused)}.")

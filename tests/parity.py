"""Arrays that the published implementations computed, and the rule by which their parameters were filled.

The arrays lie outside the repository; where they are absent the tests that need them are skipped. ``FOLDER`` holds
those of CARZero and OFF-CLIP, a folder of ``RELEASED`` those of each other released model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.repository import REPOSITORY

FOLDER = REPOSITORY.parent / "shared" / "parity"
RELEASED = FOLDER.with_name("parity_released")
ABSENT = "the arrays of the published implementation lie outside the repository (shared/parity beside the checkout)"
needs_parity = pytest.mark.skipif(not FOLDER.is_dir(), reason=ABSENT)
TINY, FULL = {"atol": 1e-5, "rtol": 1e-5}, {"atol": 1e-4, "rtol": 1e-4}
"""The fixtures' tolerances: small cases, and 768-wide ones (kernels differ between library versions)."""


def needs_released(model: str) -> pytest.MarkDecorator:
    """Skip where the arrays of ``model`` are absent."""
    folder = RELEASED / model
    return pytest.mark.skipif(not folder.is_dir(), reason=f"the published arrays are not at {folder}")


def arrays(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """The arrays of one file, as tensors where torch has the type."""
    with np.load(folder / name) as file:
        return {k: v if v.dtype.kind == "U" else torch.from_numpy(np.array(v)) for k, v in file.items()}


def keys(configuration: str, folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """Name -> {k, shape, rule, sum, first, alias_of} of every tensor of one configuration."""
    for path in sorted(folder.glob("state_dict_keys*.json")):
        if configuration in (lists := json.loads(path.read_text())):
            return lists[configuration]
    raise KeyError(f"{folder} lists no configuration {configuration!r}")


def filled(configuration: str, folder: Path = FOLDER) -> dict[str, Tensor]:
    """The state dict of one configuration, made by the rule and checked against the stored sums."""
    entries = keys(configuration, folder)
    weights = {}
    for name, entry in entries.items():
        # An alias has the values of the name that was written last.
        alias = entry["alias_of"] if isinstance(entry.get("alias_of"), str) else None
        source = entries[alias] if alias else entry
        if entry["rule"] == "index_buffer":
            # Its values follow from the architecture, and no model reads them.
            weights[name] = torch.arange(math.prod(entry["shape"])).reshape(entry["shape"])
            continue
        k = source.get("effective_k", source["k"])
        weights[name] = fill(k, source["shape"], source["rule"])
        if not alias and k == source["k"]:
            assert math.isclose(weights[name].double().sum().item(), entry["sum"], rel_tol=1e-6, abs_tol=1e-4), name
    return weights


def normalised(gray: Tensor) -> Tensor:
    """[B, S, S] uint8 to the pixels of a baseline: [B, 1, S, S] float32 in [0, 1]."""
    return gray[:, None].float() / 255


def _stream(k: int, size: int) -> np.ndarray:
    u = np.arange(1, size + 1, dtype=np.uint32) * np.uint32(2654435761)
    u += np.uint32((k + 1) * 2246822519 % 2**32)
    u ^= u >> 15
    u *= np.uint32(2246822519)
    u ^= u >> 13
    u *= np.uint32(3266489917)
    u ^= u >> 16
    return u / 2**32 * 2 - 1


def fill(k: int, shape: list[int], rule: str) -> Tensor:
    """A tensor of this shape, the ``k``th of its list, made by the rule."""
    if rule == "zero":
        return torch.zeros(shape, dtype=torch.int64)
    if rule == "ln(0.07)":
        return torch.full(shape, math.log(0.07))
    values = _stream(k, math.prod(shape))
    if rule == "matrix" or rule.startswith("r*sqrt(3/fan)"):
        fan = 12 if shape[0] == 1 else math.prod(shape) / shape[0]
        values = values * math.sqrt(3 / fan)
    elif rule in ("ln_weight", "gain", "1+0.1*r"):
        values = 1 + 0.1 * values
    elif rule in ("bias", "running_mean", "0.1*r"):
        values = 0.1 * values
    elif rule in ("running_var", "1+0.5*|r|"):
        values = 1 + 0.5 * np.abs(values)
    else:
        return torch.tensor(math.log(1 / 0.07))
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def without(weights: Mapping[str, Tensor], *parts: str) -> dict[str, Tensor]:
    """Names that hold none of ``parts``."""
    return {name: tensor for name, tensor in weights.items() if not any(part in name for part in parts)}

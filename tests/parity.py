"""Arrays that the published implementation computed, and the rule by which its parameters were filled.

The arrays lie outside the repository; where they are absent the tests that need them are skipped.
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

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "parity"
ABSENT = "the arrays of the published implementation lie outside the repository (shared/parity beside the checkout)"
needs_parity = pytest.mark.skipif(not FOLDER.is_dir(), reason=ABSENT)
TINY, FULL = {"atol": 1e-5, "rtol": 1e-5}, {"atol": 1e-4, "rtol": 1e-4}
"""The fixtures' tolerances: small cases, and 768-wide ones (kernels differ between library versions)."""


def arrays(name: str) -> dict[str, Any]:
    """The arrays of one file, as tensors where torch has the type."""
    with np.load(FOLDER / name) as file:
        return {k: v if v.dtype.kind == "U" else torch.from_numpy(np.array(v)) for k, v in file.items()}


def keys(configuration: str) -> dict[str, dict[str, Any]]:
    """Name -> {k, shape, rule, sum, first, alias_of} of every tensor of one configuration."""
    return json.loads((FOLDER / "state_dict_keys.json").read_text())[configuration]


def filled(configuration: str) -> dict[str, Tensor]:
    """The state dict of one configuration, made by the rule and checked against the stored sums."""
    entries = keys(configuration)
    weights = {}
    for name, entry in entries.items():
        alias = entry.get("alias_of")
        source = entries[alias] if alias else entry
        weights[name] = _fill(source["k"], source["shape"], source["rule"])
        if not alias:
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


def _fill(k: int, shape: list[int], rule: str) -> Tensor:
    values = _stream(k, math.prod(shape))
    if rule == "matrix":
        fan = 12 if shape[0] == 1 else math.prod(shape) / shape[0]
        values = values * math.sqrt(3 / fan)
    elif rule == "ln_weight":
        values = 1 + 0.1 * values
    elif rule == "bias":
        values = 0.1 * values
    else:
        return torch.tensor(math.log(1 / 0.07))
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def without(weights: Mapping[str, Tensor], *parts: str) -> dict[str, Tensor]:
    """Names that hold none of ``parts``."""
    return {name: tensor for name, tensor in weights.items() if not any(part in name for part in parts)}

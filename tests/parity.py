"""Arrays that the published implementations computed, and the rule by which their parameters were filled.

The arrays lie outside the repository; where they are absent the tests that need them are skipped. ``FOLDER`` holds
those of CARZero and OFF-CLIP, a folder of ``RELEASED`` those of each other released model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
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


def hollow(configuration: str, folder: Path = FOLDER) -> dict[str, Tensor]:
    """Names, shapes and types of ``filled`` over one stored zero each: a file of them takes kilobytes."""
    return {
        name: torch.zeros((), dtype=torch.int64 if entry["rule"] in ("zero", "index_buffer") else torch.float32).expand(
            entry["shape"]
        )
        for name, entry in keys(configuration, folder).items()
    }


def normalised(gray: Tensor) -> Tensor:
    """[B, S, S] uint8 to the pixels of a baseline: [B, 1, S, S] float32 in [0, 1]."""
    return gray[:, None].float() / 255


CHUNK = 1 << 16
"""Values that are made at once: they stay in a core's cache."""


def _stream(k: int, start: int, size: int) -> np.ndarray:
    u = np.arange(start + 1, start + size + 1, dtype=np.uint32)
    u *= np.uint32(2654435761)
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
    change: Callable[[np.ndarray], np.ndarray]
    if rule == "matrix" or rule.startswith("r*sqrt(3/fan)"):
        fan = 12 if shape[0] == 1 else math.prod(shape) / shape[0]
        scale = math.sqrt(3 / fan)
        change = lambda values: values * scale  # noqa: E731
    elif rule in CHANGES:
        change = CHANGES[rule]
    else:
        return torch.tensor(math.log(1 / 0.07))
    size = math.prod(shape)
    filled = np.empty(size, np.float32)
    for start in range(0, size, CHUNK):
        filled[start : start + CHUNK] = change(_stream(k, start, min(CHUNK, size - start)))
    return torch.from_numpy(filled.reshape(shape))


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    **dict.fromkeys(("ln_weight", "gain", "1+0.1*r"), lambda values: 1 + 0.1 * values),
    **dict.fromkeys(("bias", "running_mean", "0.1*r"), lambda values: 0.1 * values),
    **dict.fromkeys(("running_var", "1+0.5*|r|"), lambda values: 1 + 0.5 * np.abs(values)),
}
"""Rule -> what becomes of the stream."""


def without(weights: Mapping[str, Tensor], *parts: str) -> dict[str, Tensor]:
    """Names that hold none of ``parts``."""
    return {name: tensor for name, tensor in weights.items() if not any(part in name for part in parts)}

"""Weights part of the way through a run in little space: how far they are from the run's last weights.

A snapshot serves the budget curve and nothing else. Kept exactly, two of them take twice the room of the result. In
the compact form a matrix is its difference from the result in whole steps of ``STEP`` of that difference's standard
deviation, one byte each, which zstd brings to 4.6 bits a weight; vectors (biases, norms) are kept exactly. Rounding
adds noise of ``STEP`` / sqrt(12), 5 % of the distance between snapshot and result. What that does to an AUC is measured
in docs/scale.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.artifacts import reading
from benchmark.artifacts.stages import again
from benchmark.common import files
from benchmark.common.errors import UserError

STEP = 0.18
"""Standard deviations of a matrix's differences."""
MOST_STEPS = 127
"""An int8 holds so many; where the largest difference needs more, the steps of its matrix are longer."""
SUFFIX = ".parquet"
"""Of a compact snapshot; an exact one is a ``.safetensors`` file."""
COLUMNS = ("name", "dtype", "shape", "step", "values")
Weights = Mapping[str, NDArray[Any]]


def write(path: Path, snapshot: Weights, result: Weights) -> None:
    """Write a snapshot as its difference from ``result``: a row a tensor, ``step`` NaN where it is kept as it is.

    Args:
        path: ``snapshot-<per cent>.parquet``.
        snapshot: weights by name.
        result: the run's last weights, of the same names and shapes.
    """
    rows = []
    for name, values in snapshot.items():
        step, kept = np.nan, values
        if values.ndim >= 2 and values.dtype == np.float32:
            difference = values.astype(np.float64) - result[name]
            # Held as float32, so that reading takes the very step that was counted in.
            step = float(np.float32(max(STEP * difference.std(), np.abs(difference).max() / MOST_STEPS)))
            kept = np.rint(difference / (step or 1.0)).clip(-MOST_STEPS, MOST_STEPS).astype(np.int8)
        rows.append((name, str(values.dtype), list(values.shape), np.float32(step), kept.tobytes()))
    files.write_parquet(path, pd.DataFrame(rows, columns=list(COLUMNS)))


def read(path: Path, result: Weights) -> dict[str, NDArray[Any]]:
    """The weights of a compact snapshot.

    Args:
        path: the file.
        result: the run's last weights.

    Raises:
        UserError: the file is missing or damaged, or belongs to another result.
    """
    weights = {}
    for row in reading.read_table(path, list(COLUMNS)).to_dict("records"):
        name, exact = row["name"], bool(np.isnan(row["step"]))
        shape = tuple(row["shape"])
        dtype = np.dtype(row["dtype"] if exact else np.int8)
        fits = exact or (name in result and result[name].shape == shape)
        if not fits or len(row["values"]) != int(np.prod(shape)) * dtype.itemsize:
            raise UserError(f"{path}: '{name}' does not fit the run's model.safetensors; run {again(path)}.")
        values = np.frombuffer(row["values"], dtype).reshape(shape)
        weights[name] = values.copy() if exact else result[name] + np.float32(row["step"]) * values.astype(np.float32)
    return weights

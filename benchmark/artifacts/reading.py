"""Reads what one stage wrote and another needs: a damaged file is one sentence with the command that makes it again."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.artifacts.stages import again
from benchmark.common.errors import UserError, one_line


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn whatever a decoder says of ``path`` into one sentence."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run {again(path)} to make it.") from None
    except Exception as error:  # NumPy, Arrow, zip and zlib each have their own words for spoilt bytes
        said = one_line(error).partition(". ")[0].replace(f"Could not open Parquet input source '{path}': ", "")
        raise UserError(f"{path} cannot be read ({said}); delete it and run {again(path)}.") from None


def read_table(path: Path, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a parquet file, or some of its columns.

    Raises:
        UserError: it is missing, unreadable, or lacks a column.
    """
    with _refusing(path):
        return pd.read_parquet(path, columns=None if columns is None else list(columns))


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: it is missing or no JSON.
    """
    with _refusing(path):
        return json.loads(path.read_text(encoding="utf-8"))


def read_csv(path: Path, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table of results/: seeds as text, "" for missing text.

    Args:
        path: the file.
        columns: what it must have.

    Raises:
        UserError: it is missing, unreadable, cut (it does not end with a line), or lacks a column.
    """
    with _refusing(path):
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            raise ValueError("the last line is cut" if content else "it is empty")
        table = pd.read_csv(io.BytesIO(content), dtype={"seed": str})
        if missing := [name for name in columns if name not in table]:
            raise ValueError(f"it has no column '{missing[0]}'")
    for name in table.columns:
        if table[name].dtype == object or pd.api.types.is_string_dtype(table[name]):
            table[name] = table[name].fillna("").astype(object)
    return table


def read_array(path: Path) -> NDArray[Any]:
    """Map a .npy file into memory, read-only.

    Raises:
        UserError: it is missing, cut or no array.
    """
    with _refusing(path):
        array: NDArray[Any] = np.load(path, mmap_mode="r")
        return array


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Read arrays of a .npz file.

    Raises:
        UserError: it is missing, cut, or lacks an array.
    """
    with _refusing(path), np.load(path) as stored:
        return {name: stored[name] for name in names}

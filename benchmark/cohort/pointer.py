"""``data/raw/<dataset>/pointer.json``: where a dataset's release lies, and whether it is the phantom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.artifacts import reading
from benchmark.artifacts.stages import again
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout

NAME = "pointer.json"
SHARES = "shares.json"
"""Beside it where the dataset is the phantom: how frequent things are in it and in the public table behind it."""


def write(folder: Path, dataset: str, phantom: bool, root: str) -> None:
    """Write the pointer into a folder that will be ``data/raw/<dataset>/``."""
    files.write_json(folder / NAME, {"dataset": dataset, "phantom": phantom, "root": root})


def read(dataset: str) -> tuple[Path, bool]:
    """The dataset's root, and whether it is the phantom.

    Raises:
        UserError: the file is missing or names no root.
    """
    written = layout.raw(dataset) / NAME
    pointer = reading.read_json(written)
    if not (isinstance(pointer, dict) and {"root", "phantom"} <= pointer.keys()):
        raise UserError(f"{written} does not name a root; run {again(written)}.")
    return Path(pointer["root"]), bool(pointer["phantom"])


def shares(dataset: str) -> dict[str, Any]:
    """The shares of a phantom set and of its public table (docs/files.md).

    Raises:
        UserError: the file is missing or is not what ``raw`` writes.
    """
    written = layout.raw(dataset) / SHARES
    found = reading.read_json(written)
    if not (isinstance(found, dict) and {"phantom", "table"} <= found.keys()):
        raise UserError(f"{written} does not hold the shares of a phantom set; run {again(written)}.")
    return found

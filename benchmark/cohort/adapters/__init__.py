"""One file for each published release: its tables become one index and one list of regions."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from benchmark.cohort.contract import Release
from benchmark.pipeline.settings import DatasetSettings

Reader = Callable[[Path, DatasetSettings, "Path | None"], Release]


def reader(dataset: str, quick: bool = False) -> Reader:
    """The ``read`` function of a dataset's adapter; with ``quick`` its ``survey`` where it has one."""
    module = importlib.import_module(f"benchmark.cohort.adapters.{dataset}")
    return getattr(module, "survey", module.read) if quick else module.read

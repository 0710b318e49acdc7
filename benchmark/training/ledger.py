"""What a run leaves besides weights: its curve (history.parquet) and its account (ledger.json)."""

from __future__ import annotations

import os
import platform
import resource
import sys
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import torch

PACKAGES = ("torch", "timm", "transformers", "numpy", "safetensors")


@dataclass
class History:
    """One row a step; every column as long as the run."""

    step: list[int] = field(default_factory=list)
    progress: list[float] = field(default_factory=list)
    """After the step."""
    loss: list[float] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    """NaN where the step was not validated."""
    samples: list[float] = field(default_factory=list)
    flops: list[float] = field(default_factory=list)
    device_seconds: list[float] = field(default_factory=list)

    def append(self, **row: float) -> None:
        """Add a row; every column must be given."""
        for column, values in vars(self).items():
            values.append(row[column])

    def last(self) -> dict[str, float]:
        """The newest row."""
        return {column: values[-1] for column, values in vars(self).items()}

    def write(self, path: Path) -> None:
        """history.parquet of docs/files.md."""
        import pandas as pd

        from benchmark.common import files

        files.write_parquet(path, pd.DataFrame(vars(self)).astype({"step": "int64"}))


def hardware(device: torch.device) -> str:
    """Name of what computed, e.g. ``AMD EPYC (2 cores)`` or ``NVIDIA H200``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name} ({os.cpu_count()} cores)"


def peak_memory_bytes(device: torch.device) -> int:
    """Largest resident memory of the process, or of the device's allocator on a GPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:  # Linux: ru_maxrss is inherited from a larger parent, VmHWM (KiB) is the process's own
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) * 1024
    except (OSError, StopIteration):
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that compute."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found

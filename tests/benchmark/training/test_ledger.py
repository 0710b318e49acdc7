"""What a run's account says of memory and hardware."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmark.training import ledger
from tests.repository import REPOSITORY

CHILD = "import torch; from benchmark.training import ledger; print(ledger.peak_memory_bytes(torch.device('cpu')))"
PARENT = f"""
import subprocess, sys
large = b"1" * 900_000_000
subprocess.run([sys.executable, "-c", {CHILD!r}], check=True)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc")
def test_peak_memory_is_the_process_s_own_and_not_that_of_a_larger_parent() -> None:
    done = subprocess.run([sys.executable, "-c", PARENT], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert 100e6 < int(done.stdout) < 800e6  # PyTorch itself; the parent has held 900 MB


def test_peak_memory_counts_what_was_held_and_freed() -> None:
    held = torch.ones(100_000_000)  # 400 MB
    del held
    assert ledger.peak_memory_bytes(torch.device("cpu")) > 400e6


def test_the_hardware_is_named_with_its_cores() -> None:
    assert ledger.hardware(torch.device("cpu")).endswith(" cores)")

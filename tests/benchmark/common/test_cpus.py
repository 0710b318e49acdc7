"""Processors: affinity, and the quota of each control group around the process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmark.common import cpus


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of 128 processors with the control group ``/slurm/job``."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(128)))
    monkeypatch.setattr(cpus, "GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(cpus, "MEMBERSHIP", tmp_path / "membership")
    (tmp_path / "membership").write_text("0::/slurm/job\n")
    (tmp_path / "cgroup/slurm/job").mkdir(parents=True)
    return tmp_path / "cgroup"


def test_affinity_alone(groups: Path) -> None:
    assert cpus.available() == 128


@pytest.mark.parametrize(("text", "expected"), [("400000 100000", 4), ("150000 100000", 2), ("max 100000", 128)])
@pytest.mark.parametrize("place", ["", "slurm", "slurm/job"])
def test_the_quota_of_any_group_around_the_process(groups: Path, place: str, text: str, expected: int) -> None:
    (groups / place / "cpu.max").write_text(text + "\n")
    assert cpus.available() == expected


def test_the_older_form(groups: Path) -> None:
    (groups / "cpu").mkdir()
    (groups / "cpu/cpu.cfs_quota_us").write_text("300000\n")
    (groups / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert cpus.available() == 3


def test_no_fewer_than_one(groups: Path) -> None:
    (groups / "cpu.max").write_text("1000 100000\n")
    assert cpus.available() == 1

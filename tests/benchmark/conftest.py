"""Fixtures of the harness's tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark.reporting import report
from tests.benchmark import measured_run


@pytest.fixture(scope="session")
def reported_once(tmp_path_factory) -> Path:
    """A measured and reported synthetic run; read it, and copy it before changing it."""
    root = tmp_path_factory.mktemp("reported")
    measured_run.write(root)
    with measured_run.working_in(root):
        report.run()
    return root


@pytest.fixture
def reported(reported_once, tmp_path, monkeypatch) -> Path:
    """A copy of the reported run as working directory."""
    root = tmp_path / "work"
    shutil.copytree(reported_once, root)
    monkeypatch.chdir(root)
    return root

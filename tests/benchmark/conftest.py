"""Fixtures of the harness's tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def reported(reported_once, tmp_path, monkeypatch) -> Path:
    """A copy of the reported run as working directory."""
    root = tmp_path / "work"
    shutil.copytree(reported_once, root)
    monkeypatch.chdir(root)
    return root

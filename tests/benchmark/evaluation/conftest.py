"""One tiny working directory for the stages, written once."""

import shutil
from pathlib import Path

import pytest

from tests.benchmark.evaluation import workspace


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evaluation")
    workspace.write(root, scoring={"batch_size": 16, "threads": 1}, training={"threads": 1})
    return root


@pytest.fixture
def here(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to change, as the working directory."""
    root = tmp_path / "work"
    shutil.copytree(template, root)
    monkeypatch.chdir(root)
    return root

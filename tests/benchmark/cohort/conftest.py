"""Fixtures of the cohort's tests: hand-made releases, and the real tables of the public wheel."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.cohort import adapters
from benchmark.cohort.contract import Release
from benchmark.materials import wheels
from benchmark.pipeline import layout
from benchmark.pipeline.settings import DatasetSettings
from tests.benchmark.cohort import miniatures
from tests.repository import REPOSITORY

Read = Callable[..., Release]


@pytest.fixture
def read() -> Read:
    """Read a root with a dataset's adapter: ``read("vindr_cxr", root, labels="all")``."""

    def reading(dataset: str, root: Path, grounding: Path | None = None, **options: str) -> Release:
        return adapters.reader(dataset)(root, DatasetSettings(root=str(root), **options), grounding)

    return reading


@pytest.fixture(params=layout.DATASETS)
def miniature(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """Each dataset's name with a fresh miniature of its release."""
    return request.param, miniatures.WRITERS[request.param](tmp_path / request.param)


@pytest.fixture(scope="session")
def published_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the published tables that the torchxrayvision wheel carries."""
    places = [REPOSITORY / layout.MATERIALS, Path(os.environ.get(wheels.HAND_PLACED, "nowhere"))]
    found = [place / wheels.TORCHXRAYVISION.filename for place in places]
    wheel = next((path for path in found if path.is_file()), None)
    if wheel is None:
        pytest.skip(f"{wheels.TORCHXRAYVISION.filename} is not there; run `python -m benchmark materials`")
    folder = tmp_path_factory.mktemp("published")
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith("torchxrayvision/data/") and not name.endswith(".zip"):
                (folder / Path(name).name).write_bytes(archive.read(name))
    return folder

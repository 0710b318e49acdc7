"""What holds for every test: no luck in what is drawn, nothing of the person's own settings, and a word on skips."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from tests import properties, skips

properties.register()
# A test logs to its own folder and calls its own server, whatever this shell is set to.
for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID", "OPENAI_API_KEY"):
    os.environ.pop(variable, None)


@pytest.fixture(autouse=True)
def _the_same_chance() -> None:
    """Whatever ran before it, a test that draws without a generator of its own draws the same."""
    random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """The folder that ``make`` fills, by one of the processes that share the tests; the others wait for it."""
    beside = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        beside = beside.parent
    folder = beside / name
    with FileLock(beside / f"{name}.lock"):
        if not folder.is_dir():
            part = factory.mktemp(name)
            make(part)
            part.rename(folder)
    return folder


@pytest.fixture(scope="session")
def reported_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A measured and reported synthetic run; read it, and copy it before changing it."""
    from benchmark.reporting import report
    from tests.benchmark import measured_run

    def make(root: Path) -> None:
        measured_run.write(root)
        with measured_run.working_in(root):
            report.run()

    return made_once(tmp_path_factory, "reported", make)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace in which CLIP was trained and nothing happened; read it, and copy it before changing it."""
    from benchmark.training import train
    from tests.benchmark.measured_run import working_in
    from tests.benchmark.training import workplace

    def make(root: Path) -> None:
        workplace.write(root)
        with working_in(root):
            train.run("clip", 0)

    return made_once(tmp_path_factory, "undisturbed", make)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database with its tables and nothing in them; to make one takes seconds, so copy it."""
    import mlflow

    def make(root: Path) -> None:
        mlflow.MlflowClient(f"sqlite:///{root / 'mlflow.db'}").search_experiments()

    return made_once(tmp_path_factory, "store", make) / "mlflow.db"


LONG = ("tests/reliability/", "tests/baselines/", "tests/examples/", "tests/test_", "tests/benchmark/")
"""Beginnings of paths, those whose files take longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: where processes share the tests, none is left alone with one at the end."""

    def place(item: pytest.Item) -> tuple[bool, int]:
        long = (number for number, start in enumerate(LONG) if item.nodeid.startswith(start))
        return item.get_closest_marker("slow") is None, next(long, len(LONG))

    items.sort(key=place)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not terminalreporter.config.option.collectonly:
        for line in skips.summary(terminalreporter.stats.get("skipped", [])):
            terminalreporter.write_line(line)

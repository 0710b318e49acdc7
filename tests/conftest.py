"""What holds for every test: no luck in what is drawn, nothing of the person's own settings, and a word on skips."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest

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


@pytest.fixture(scope="session")
def reported_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A measured and reported synthetic run; read it, and copy it before changing it."""
    from benchmark.reporting import report
    from tests.benchmark import measured_run

    root = tmp_path_factory.mktemp("reported")
    measured_run.write(root)
    with measured_run.working_in(root):
        report.run()
    return root


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace in which CLIP was trained and nothing happened; read it, and copy it before changing it."""
    from benchmark.training import train
    from tests.benchmark.measured_run import working_in
    from tests.benchmark.training import workplace

    root = tmp_path_factory.mktemp("undisturbed")
    workplace.write(root)
    with working_in(root):
        train.run("clip", 0)
    return root


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's database with its tables and nothing in them; to make one takes seconds, so copy it."""
    import mlflow

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


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

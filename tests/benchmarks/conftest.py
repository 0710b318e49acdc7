"""Speed is measured by `make bench`; `make test` only imports what measures it."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("benchmark_skip"):
        timed = [item for item in items if Path(__file__).parent in item.path.parents]
        items[:] = [item for item in items if item not in timed]
        config.hook.pytest_deselected(items=timed)

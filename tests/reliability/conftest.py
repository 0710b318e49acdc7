"""Counts the hostile inputs that the tests of this folder tried, and prints how many at the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from benchmark.pipeline import layout
from tests.benchmark.cohort import miniatures
from tests.benchmark.measured_run import working_in
from tests.repository import REPOSITORY


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
    """Count one case: ``tried("XML")``."""
    counts: Counter[str] = Counter()

    def count(kind: str) -> None:
        counts[kind] += 1

    yield count
    request.node.user_properties.append(("tried", dict(counts)))  # travels with the test's report, from any process


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "teardown":
                counts.update(dict(report.user_properties).get("tried", {}))
    if counts:
        listed = ", ".join(f"{kind} {count}" for kind, count in sorted(counts.items()))
        terminalreporter.write_line(f"hostile inputs tried: {counts.total():,} ({listed})")


@dataclass(frozen=True)
class Release:
    """A miniature of one dataset's release inside a working directory that `prepare` can run in."""

    dataset: str
    work: Path

    @property
    def root(self) -> Path:
        return self.work / "release"

    @property
    def cohort(self) -> Path:
        return self.work / layout.cohort(self.dataset)


def lay_out(dataset: str, work: Path, *, share_examples: bool = False, max_missing: float = 0.9) -> Release:
    """Write params.yaml, the miniature and a pointer that calls it real (not a phantom)."""
    params = yaml.safe_load((REPOSITORY / layout.PARAMS).read_text(encoding="utf-8"))
    params["cohort"] |= {"size": 32, "max_missing": max_missing, "workers": 1}
    release = Release(dataset, work)
    params["datasets"][dataset] |= {"root": str(release.root), "share_examples": share_examples, "subset": True}
    work.mkdir(parents=True, exist_ok=True)
    (work / layout.PARAMS).write_text(yaml.safe_dump(params), encoding="utf-8")
    miniatures.WRITERS[dataset](release.root)
    point(release)
    return release


def point(release: Release) -> None:
    """What stage ``raw`` leaves of a real root."""
    folder = release.work / layout.raw(release.dataset)
    folder.mkdir(parents=True)
    pointer = {"dataset": release.dataset, "phantom": False, "root": str(release.root)}
    (folder / "pointer.json").write_text(json.dumps(pointer), encoding="utf-8")


@pytest.fixture
def release(request: pytest.FixtureRequest, tmp_path: Path):
    """``indirect``: the dataset's name; the test runs in its working directory."""
    made = lay_out(request.param, tmp_path / "work")
    with working_in(made.work):
        yield made

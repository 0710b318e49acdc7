"""The whole pipeline at smoke size, through ``dvc repro`` itself, as a person would run it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmark.pipeline import layout, workspace
from tests.reliability import leaks
from tests.repository import REPOSITORY

TIMED = {"ledger.csv"}
"""Files of results/ that hold timings, which no machine repeats."""


def repro(folder: Path, *arguments: str) -> str:
    """Run ``dvc repro`` in a workspace and return what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "NO_COLOR": "1", "MLFLOW_TRACKING_URI": ""}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline") / "first"
    workspace.create(folder, "smoke", REPOSITORY)
    repro(folder)
    return folder


@pytest.mark.slow
def test_every_promised_file_exists(first):
    for name in (
        "results/auc.csv",
        "results/summary.json",
        "reports/comparison.pdf",
        "reports/ablation.pdf",
        "mlflow.db",
    ):
        assert (first / name).stat().st_size > 0, name
    for dataset in layout.DATASETS:
        assert (first / layout.cohort(dataset) / "images.npy").is_file()


@pytest.mark.slow
def test_a_second_repro_runs_only_what_always_runs(first):
    printed = repro(first)
    running = [line for line in printed.splitlines() if line.startswith("Running stage")]
    assert sorted(line.split("'")[1] for line in running) == ["plan", "track"]


@pytest.mark.slow
def test_nothing_that_trains_is_evaluated(first):
    assert leaks.found_in(first) == []


@pytest.mark.slow
def test_two_runs_from_scratch_give_the_same_bytes(first):
    second = first.parent / "second"
    workspace.create(second, "smoke", REPOSITORY)
    repro(second)
    names = sorted(path.relative_to(first / "results") for path in (first / "results").rglob("*") if path.is_file())
    assert len(names) > 5
    for name in names:
        if name.name not in TIMED:
            assert (first / "results" / name).read_bytes() == (second / "results" / name).read_bytes(), name


@pytest.mark.slow
def test_a_new_baseline_is_one_file_and_one_line_and_trains_alone(first):
    third = first.parent / "third"
    shutil.copytree(first, third, symlinks=True)
    guide = (REPOSITORY / "docs" / "adding-a-baseline.md").read_text()
    code = re.search(r"```python\n(.*?)```", guide, re.DOTALL)
    line = re.search(r"^  mine: \{.*\}$", guide, re.MULTILINE)
    assert code
    assert line
    (third / "baselines" / "mine.py").write_text(code[1])
    params = yaml.safe_load((third / "params.yaml").read_text())
    params["compare"].append("mine")
    params["systems"] |= yaml.safe_load(line[0])
    (third / "params.yaml").write_text(yaml.safe_dump(params))
    printed = repro(third)
    trained = [line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage 'train")]
    assert trained == ["train@mine-0"]
    assert "Mine" in (third / "reports" / "tables" / "main.md").read_text()

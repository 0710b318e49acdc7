"""The whole pipeline at smoke size, through ``dvc repro`` itself, as a person would run it."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmark.common import files
from benchmark.materials import wheels
from benchmark.pipeline import layout, workspace
from benchmark.planning.code import PLUMBING
from tests.reliability import leaks
from tests.repository import REPOSITORY

TIMED = {"ledger.csv"}
"""Files of results/ that hold timings, which no machine repeats."""
ALWAYS = ("plan", "track")
"""Stages that every `dvc repro` runs, whatever they depend on."""
UNPLANNED = {*PLUMBING, "benchmark/__main__.py", "benchmark/cli.py", "params.yaml"}
"""What every stage reads and no plan names: it cannot change a number; settings are in the plans by value."""
BESIDE = {
    "train": {"benchmark/tracking/__init__.py", "benchmark/tracking/live.py"},
    "report": {"dvc.lock"},
}
"""What a stage reads besides: live curves, which change no weight (docs/design.md); what DVC wrote, for its hash."""


def repro(folder: Path, *targets: str, notes: Path | None = None) -> str:
    """Run ``dvc repro`` in a workspace and return what it printed.

    Args:
        folder: the workspace.
        targets: stages to end with; none = all of them.
        notes: a folder in which each stage notes what it reads (tests/tracing).
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "NO_COLOR": "1", "MLFLOW_TRACKING_URI": ""}
    if list((REPOSITORY / layout.MATERIALS).glob("*.whl")):  # no index is asked for what lies there
        environment.setdefault(wheels.HAND_PLACED, str(REPOSITORY / layout.MATERIALS))
    if notes is not None:
        notes.mkdir()
        environment |= {"TRACED": str(notes), "PYTHONPATH": str(REPOSITORY / "tests" / "tracing")}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro", *targets],
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
    repro(folder, notes=folder.with_name("read"))
    return folder


def is_at_or_below(path: str, places: list[str]) -> bool:
    return any(path == place or path.startswith(f"{place}/") for place in places)


def forgotten(folder: Path, notes: Path) -> dict[str, set[str]]:
    """Stage -> files that it read although nothing that it depends on names them; stages that forget none left out."""
    found, stages = {}, yaml.safe_load((folder / "dvc.lock").read_text())["stages"]
    for stage in stages.keys() - {*ALWAYS}:
        places = [each["path"] for each in (*stages[stage]["deps"], *stages[stage]["outs"])]
        plans = [files.read_json(folder / place) for place in places if is_at_or_below(place, ["plan"])]
        beside = BESIDE.get(stage.partition("@")[0].removesuffix("_ablation").removesuffix("_scratch"), ())
        named = UNPLANNED.union(*(plan.get("code", {}) for plan in plans), beside)
        read = set()
        for line in (notes / stage).read_text().splitlines():
            how, path = line.split(" ", 1)
            cached = path.endswith(".pyc")
            # Source that is read as text lists the models that there are, for a sentence; what is run is imported.
            if how == "import" or not path.endswith(".py"):
                read.add(importlib.util.source_from_cache(path) if cached else path)
        found[stage] = {path for path in read - named if not is_at_or_below(path, places) and "/." not in f"/{path}"}
    return {stage: paths for stage, paths in found.items() if paths}


@pytest.mark.slow
def test_a_stage_reads_nothing_but_what_it_depends_on(first):
    """Source files and data, of each stage's own process and its workers, against dvc.lock and the plans it names."""
    assert forgotten(first, first.with_name("read")) == {}


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


@pytest.mark.chaos  # `make test` has it stage by stage: each stage's own tests run it twice
@pytest.mark.slow
def test_two_runs_from_scratch_give_the_same_bytes(first):
    second = first.parent / "second"
    workspace.create(second, "smoke", REPOSITORY)
    repro(second, "measure")
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
    printed = repro(third, "report")
    trained = [line.split("'")[1] for line in printed.splitlines() if line.startswith("Running stage 'train")]
    assert trained == ["train@mine-0"]
    assert "Mine" in (third / "reports" / "tables" / "main.md").read_text()

"""``kill -9`` in every stage of `dvc repro`, two pipelines at once: the results are those of an undisturbed run."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark import files, layout, workspace
from tests.reliability.conftest import REPOSITORY

pytestmark = pytest.mark.chaos
KILLS_PER_STAGE = 3
STAGES = (
    *("plan", "materials", "raw", "prepare", "captions", "pretrain", "train", "train_ablation"),
    *("score", "score_ablation", "probe", "measure", "report", "track"),
)
RUNNING = re.compile(r"Running stage '(\w+)(?:@[^']*)?'")
TIMED = ("ledger.csv",)
"""Files of results/ that hold timings, which no machine repeats."""
COMPARED = ("results", "plan", "data/cohort", "data/captions", "data/pretrained", "probe")
PATIENCE = 300
"""Seconds in which a life must reach its next stage or end."""


class Life:
    """One `dvc repro` in a process group of its own, its output in a file."""

    def __init__(self, folder: Path, number: int) -> None:
        self.log = folder.parent / f"{folder.name}-{number:03d}.log"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "MLFLOW_TRACKING_URI": ""}
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dvc", "repro"],
                cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def started(self) -> list[str]:
        """The stages that have started, by name."""
        return RUNNING.findall(self.log.read_text(encoding="utf-8", errors="replace"))

    def stages(self) -> Iterator[str]:
        """Each stage as it starts, until the process ends."""
        seen, last = 0, time.monotonic()
        while True:
            ended = self.process.poll() is not None
            started = self.started()
            if len(started) > seen:
                last = time.monotonic()
                yield started[seen]
                seen += 1
            elif ended:
                return
            elif time.monotonic() - last > PATIENCE:
                self.kill(whole=True)
                raise AssertionError(f"no stage for {PATIENCE} s, see {self.log}")
            else:
                time.sleep(0.01)

    def kill(self, whole: bool) -> None:
        """SIGKILL: the whole group as when the power fails, or `dvc` alone, its stage living on."""
        if whole:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """A smoke run that nothing disturbed but a second `dvc repro`, and the seconds each stage took."""
    folder = tmp_path_factory.mktemp("chaos") / "undisturbed"
    workspace.create(folder, "smoke", REPOSITORY)
    life, seconds = Life(folder, 0), {}
    stage, began, second = "", time.monotonic(), None
    for name in life.stages():
        seconds[stage] = max(seconds.get(stage, 0.0), time.monotonic() - began)
        stage, began = name, time.monotonic()
        if name == "pretrain":
            second = Life(folder, 1)
    seconds[stage] = time.monotonic() - began
    assert life.process.wait() == 0, life.text()[-3000:]
    assert second is not None
    assert second.process.wait() != 0
    assert re.search(r"is busy, it is being blocked by|Unable to acquire lock", second.text()), second.text()[-3000:]
    return folder, seconds


def contents(folder: Path) -> dict[str, str]:
    """Hash of every result that must not depend on what happened on the way."""
    listed = [path for name in COMPARED for path in sorted((folder / name).rglob("*")) if path.is_file()]
    listed += sorted(folder.glob("runs/*/*.safetensors"))
    return {str(path.relative_to(folder)): files.sha256_file(path) for path in listed if path.name not in TIMED}


def test_a_second_repro_is_refused_and_harms_nothing(undisturbed: tuple[Path, dict[str, float]]) -> None:
    folder, _ = undisturbed
    assert {stage for stage, _ in undisturbed[1].items()} >= set(STAGES)
    assert (folder / "reports/comparison.pdf").stat().st_size > 0
    json.loads((folder / "results/summary.json").read_text())


def test_forty_kills_over_all_stages_change_no_byte(
    undisturbed: tuple[Path, dict[str, float]], capsys: pytest.CaptureFixture[str]
) -> None:
    reference, seconds = undisturbed
    folder = reference.parent / "killed"
    workspace.create(folder, "smoke", REPOSITORY)
    moments, killed, orphaned, refused, number = random.Random(8), Counter[str](), 0, 0, 0
    while True:
        number += 1
        life, struck = Life(folder, number), False
        for stage in life.stages():
            if killed[stage] < KILLS_PER_STAGE:
                time.sleep(moments.uniform(0, 0.5 * seconds[stage]))
                if life.process.poll() is None:
                    alone = stage not in ("plan", "track") and killed[stage] == 1
                    life.kill(whole=not alone)  # once a stage, `dvc` dies and the stage itself goes on
                    killed[stage] += 1
                    orphaned += alone
                    struck = True
                    break
        if not struck and life.process.wait() == 0 and killed["track"] == KILLS_PER_STAGE:
            break
        refused += not struck and life.process.returncode != 0
        # A stage that outlived its `dvc` may be in the way of the next life, once.
        assert refused <= orphaned, life.text()[-3000:]
        assert number < 120, "the pipeline does not come to an end"
    with capsys.disabled():
        print(f"\nkills survived: {killed.total()} ({orphaned} of dvc alone) in {number} lives: {dict(killed)}")
    assert set(killed) == set(STAGES)
    assert killed.total() >= 40
    assert contents(folder) == contents(reference)
    assert logged_runs(folder) == len(json.loads((folder / layout.TRACKED).read_text())["runs"])


def logged_runs(folder: Path) -> int:
    """Active runs in the MLflow database that were logged to their end."""
    query = """SELECT COUNT(*) FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid
               WHERE tags.key = 'logged' AND tags.value = 'yes' AND runs.lifecycle_stage = 'active'"""
    with sqlite3.connect(folder / "mlflow.db") as held:
        return int(held.execute(query).fetchone()[0])

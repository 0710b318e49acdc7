"""``kill -9`` in every stage of `dvc repro`, two pipelines at once, clocks that jump: the results are those of an
undisturbed run, byte for byte."""

from __future__ import annotations

import json
import math
import os
import random
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from benchmark.common import files
from benchmark.pipeline import layout, settings, workspace
from tests.reliability.life import PATIENCE, RUNNING, Life
from tests.repository import REPOSITORY

pytestmark = pytest.mark.chaos
KILLS_PER_STAGE = 3
"""At least so many in each stage of dvc.yaml, at least one in each of its datasets or systems."""
ALWAYS = ("plan", "track")
"""Stages that every `dvc repro` runs."""
STAGES = tuple(yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"])
SUFFIX = {group: "" if group == settings.COMPARED else f"_{group}" for group in settings.GROUPS}
"""Group of systems -> how the names of its stages end."""
TIMED = ("ledger.csv", "costs.csv", "provenance.csv")
"""Tables that hold timings, which no machine repeats, or the hash of dvc.lock, which names the ledgers that do."""
RECORDS = tuple(f"data/images/.{dataset}.record" for dataset in layout.DATASETS)
KEPT = (".dvc", workspace.RECORD, "data/raw/.anatomy", *RECORDS)
COMPARED = ("results", "reports/tables", "plan", "data/cohort", "data/captions", "data/pretrained", "probe", "scores")
CUT_SHORT = {
    re.compile(r"Unable to read RWLock-file"): ".dvc/tmp/rwlock",
    re.compile(r"dvc\.lock' (validation failed|is invalid)"): "dvc.lock",
}
"""What DVC says -> which of its own files it was writing when it was killed."""
REFUSED = re.compile(r"is busy, it is being blocked by|Unable to acquire lock")


@dataclass
class Struck:
    """What was done to the killed pipeline."""

    kills: Counter[str] = field(default_factory=Counter)
    """Stage as in dvc.yaml -> kills."""
    orphans: int = 0
    lives: int = 0
    refused: int = 0
    locks: int = 0
    """How often a file of DVC's own was cut short."""
    finished: set[str] = field(default_factory=set)
    """Stages that came to their end (datasets and systems apart)."""


def name_of(instance: str) -> str:
    return instance.partition("@")[0]


def strike(folder: Path, instance: str, seconds: float, moments: random.Random, done: Struck, *, orphan: bool) -> None:
    """Start `dvc repro` and kill it at a random moment of one stage; where it was quicker, in the stage after that.

    Args:
        folder: the workspace.
        instance: the stage to strike in; one that has come to its end is forced to run again.
        seconds: how long it takes.
        moments: chance.
        done: what was done so far.
        orphan: kill `dvc` alone and let its stage live on.
    """
    for _ in range(8):
        done.lives += 1
        again = ("--force", "--single-item", instance) if instance in done.finished else ()
        life = Life(folder, f"{done.lives:03d}", *again)
        reached = instance in life.stages()
        if reached:
            time.sleep(moments.uniform(0, seconds))
        over = life.ended
        if not over:
            life.kill(orphan=orphan)
        *finished, last = life.started() or [""]
        if not over:
            done.kills[name_of(last)] += 1
            done.orphans += orphan
        elif life.process.returncode == 0:
            finished.append(last)
        elif not repaired(folder, life, done):  # a stage that outlived its `dvc` was in its way
            assert done.orphans, life.text()[-3000:]
            done.refused += 1
        if not reached and life.process.returncode == 0:
            finished.append(instance)  # killed after `dvc` had kept its outputs: they were taken from there
        done.finished |= {*finished} - {*ALWAYS}
        if last == instance and not over:
            return
        seconds /= 2 if reached else 1
    raise AssertionError(f"{instance} was never struck, see {life.log}")


def repaired(folder: Path, life: Life, done: Struck) -> bool:
    """Do what docs/reliability.md says of a file that DVC was writing when it was killed; whether that was it."""
    spoilt = [file for said, file in CUT_SHORT.items() if said.search(life.text())]
    for file in spoilt:
        (folder / file).unlink()
    done.locks += len(spoilt)
    return bool(spoilt)


def instances(folder: Path) -> list[str]:
    """Every stage of the workspace's pipeline, datasets and systems apart, each after those that it reads from."""
    params = yaml.safe_load((folder / layout.PARAMS).read_text(encoding="utf-8"))
    matrices = {
        "raw": layout.DATASETS,
        "index": layout.DATASETS,
        "decode": layout.DATASETS,
        "prepare": layout.DATASETS,
        "pretrain": [str(seed) for seed in params["seeds"]],
    }
    for group, seeds in settings.GROUPS.items():
        items = [f"{system}-{seed}" for system in params[group] for seed in params[seeds]]
        matrices |= {f"{stage}{SUFFIX[group]}": items for stage in ("train", "score")}
    return [
        f"{stage}@{item}" if item else stage
        for stage in STAGES
        for item in matrices.get(stage, [""])
    ]  # fmt: skip


def put_through(folder: Path, durations: Callable[[str], float], done: Struck) -> None:
    """Run the pipeline as often as it takes to kill it in every stage, then once to its end."""
    moments = random.Random(8)
    every = instances(folder)
    siblings = Counter(map(name_of, every))
    for instance in every:
        for attempt in range(math.ceil(KILLS_PER_STAGE / siblings[name_of(instance)])):
            # Once a stage `dvc` dies and the stage itself continues, beside the one that is started next.
            orphan = attempt == 1 and instance not in ALWAYS
            strike(folder, instance, durations(instance), moments, done, orphan=orphan)
    for name in ("last", "last again", "last of all"):  # the survivor of a lone `dvc` may be in the way
        last = Life(folder, name)
        if last.process.wait(PATIENCE) == 0:
            return
        done.refused += not repaired(folder, last, done)
    raise AssertionError(f"{last.log}: {last.text()[-3000:]}")


class Watched:
    """A pipeline that runs undisturbed, and how long its stages take."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.begun: dict[str, float] = {}
        """Stage -> when it began; "" -> when all was over."""
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        for stage in self.life.stages():
            self.begun[stage] = time.monotonic()
        self.begun[""] = time.monotonic()

    def seconds(self, instance: str) -> float:
        """How long the stage took; waits for its end."""
        while True:
            order = list(self.begun)
            if instance in order[:-1]:
                return self.begun[order[order.index(instance) + 1]] - self.begun[instance]
            assert "" not in self.begun, f"{instance} is none of the stages that ran: {self.life.text()[-3000:]}"
            time.sleep(0.05)


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Struck]:
    """A smoke run that nothing disturbed but a second `dvc repro`, another killed in every stage, and how."""
    home = tmp_path_factory.mktemp("chaos")
    undisturbed, killed = home / "undisturbed", home / "killed"
    for folder in (undisturbed, killed):
        workspace.create(folder, "smoke", REPOSITORY)
    reference, done = Life(undisturbed, "000"), Struck()
    try:
        next(reference.stages())
        with reference.paused():  # in the middle of its first stage, so that the second cannot be the quicker one
            second = Life(undisturbed, "second")
            assert second.process.wait(PATIENCE) != 0
            assert REFUSED.search(second.text()), second.text()[-3000:]
        put_through(killed, Watched(reference).seconds, done)
        reference.finish()
        assert set(map(name_of, reference.started())) == set(STAGES)
    finally:
        if not reference.ended:
            reference.kill()
    return undisturbed, killed, done


def contents(folder: Path) -> dict[str, str]:
    """Hash of every result that must not depend on what happened on the way."""
    listed = [path for name in COMPARED for path in sorted((folder / name).rglob("*")) if path.is_file()]
    listed += sorted(folder.glob("runs/*/*.safetensors"))
    return {
        str(path.relative_to(folder)): files.sha256_file(path)
        for path in listed
        if path.with_suffix(".csv").name not in TIMED
    }


def test_forty_kills_over_all_stages_change_no_byte(
    pipelines: tuple[Path, Path, Struck], capsys: pytest.CaptureFixture[str]
) -> None:
    undisturbed, killed, done = pipelines
    with capsys.disabled():
        total, kinds = done.kills.total(), ", ".join(f"{name} {count}" for name, count in done.kills.items())
        print(f"\nkills survived: {total} ({done.orphans} of `dvc` alone) in {done.lives} lives: {kinds}")
        print(f"refused beside a survivor: {done.refused}; DVC's own files cut short: {done.locks}")
    assert set(done.kills) == set(STAGES)
    assert min(done.kills.values()) >= KILLS_PER_STAGE
    assert done.kills.total() >= 40
    assert done.refused <= 2 * done.orphans
    reference, survivors = contents(undisturbed), contents(killed)
    assert len(reference) > 100
    assert {name for name in reference | survivors if reference.get(name) != survivors.get(name)} == set()


def test_nothing_unfinished_is_left(pipelines: tuple[Path, Path, Struck]) -> None:
    """Neither a temporary file nor a checkpoint: only what DVC, workspace, renderer and `decode` keep is hidden."""
    for folder in pipelines[:2]:
        found = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
        hidden = [path for path in found if re.search(r"(^|/)\.", path) or path.endswith(".part")]
        assert [path for path in hidden if not path.startswith(KEPT)] == []


def test_every_run_is_logged_once_however_often_tracking_was_killed(pipelines: tuple[Path, Path, Struck]) -> None:
    for folder in pipelines[:2]:
        assert logged_runs(folder) == len(json.loads((folder / layout.TRACKED).read_text())["runs"])


def logged_runs(folder: Path) -> int:
    """Active runs in the MLflow database that were logged to their end."""
    query = """SELECT COUNT(*) FROM runs JOIN tags ON tags.run_uuid = runs.run_uuid
               WHERE tags.key = 'logged' AND tags.value = 'yes' AND runs.lifecycle_stage = 'active'"""
    with sqlite3.connect(folder / "mlflow.db") as held:
        return int(held.execute(query).fetchone()[0])


SPOILT = (
    *("data/raw/open_i/pointer.json", "data/cohort/padchest/images.npy", "data/captions/vocabulary.json"),
    *("plan/clip.json", "runs/clip-0/model.safetensors", "scores/carzero-0/padchest.parquet", "results/auc.csv"),
)


def test_outputs_that_were_spoilt_are_restored(pipelines: tuple[Path, Path, Struck]) -> None:
    """Cut short, empty, gone: `dvc repro` compares contents, and brings back what it knows instead of using these."""
    survivor = pipelines[1]
    before = contents(survivor)
    for number, name in enumerate(SPOILT):
        whole = (survivor / name).read_bytes()
        (survivor / name).unlink()  # a new file: what DVC keeps may be another name of this one
        if number % 3:
            (survivor / name).write_bytes(whole[: len(whole) // 2] if number % 3 == 1 else b"")
    Life(survivor, "spoilt").finish()
    assert contents(survivor) == before


def test_files_dated_decades_apart_are_still_what_they_were(pipelines: tuple[Path, Path, Struck]) -> None:
    """A clock that was set back, forward or stood still dates files anyhow; what decides is their content."""
    undisturbed = pipelines[0]
    before, moments = contents(undisturbed), random.Random(9)
    dates = (0, 86_400, time.time() - 3600, time.time() + 3600, time.time() + 20 * 365 * 86_400)
    for path in undisturbed.rglob("*"):
        if path.is_file() and ".dvc" not in path.parts:
            date = moments.choice(dates)
            os.utime(path, (date, date))
    said = Life(undisturbed, "dated").finish()
    assert sorted(RUNNING.findall(said)) == sorted(ALWAYS)
    assert contents(undisturbed) == before

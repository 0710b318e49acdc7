"""A full disk, a read-only folder, a store that is locked or broken: a sentence, nothing half-written, and the next
run succeeds."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmark import cli
from benchmark.common import files
from benchmark.pipeline import layout
from benchmark.statistics import measure
from benchmark.tracking import track
from benchmark.training import train
from tests.benchmark.cohort import stages
from tests.benchmark.measured_run import working_in
from tests.benchmark.training import workplace
from tests.reliability.conftest import lay_out, point


def mounted(*arguments: str) -> bool:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode == 0


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A file system of ``size`` at ``place``; skips where none can be mounted."""
    place.mkdir(parents=True, exist_ok=True)
    if os.name != "posix" or os.geteuid() != 0 or not mounted("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)):
        pytest.skip("a small file system can only be mounted by root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    assert mounted("-o", f"remount,{options}", str(place))


def said(capfd: pytest.CaptureFixture[str]) -> str:
    return " ".join(capfd.readouterr().err.split())


def leftovers(place: Path) -> list[str]:
    return [path.name for path in place.rglob("*.part")]


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_prepare_on_a_disk_that_takes_nothing_says_so_and_goes_on_later(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], fault: str
) -> None:
    release = lay_out("padchest", tmp_path / "work")
    with small_disk(release.work / "data", "16k" if fault == "full" else "4m") as disk, working_in(release.work):
        point(release)
        remount(disk, "size=16k" if fault == "full" else "ro")
        assert stages.command("padchest") == 2
        assert ("the disk is full; free some space" if fault == "full" else "is read-only") in said(capfd)
        assert not release.cohort.exists()
        remount(disk, "size=4m,rw")
        assert stages.command("padchest") == 0
        assert {path.name for path in release.cohort.iterdir()} >= {"card.json", "images.npy", "index.parquet"}
        assert leftovers(disk) == []


def test_a_disk_that_fills_while_images_are_decoded_is_no_bus_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    release = lay_out("padchest", tmp_path / "work")
    params = (release.work / layout.PARAMS).read_text()
    (release.work / layout.PARAMS).write_text(params.replace("size: 32", "size: 512"))
    with small_disk(release.work / "data", "256k") as disk, working_in(release.work):
        point(release)
        assert stages.command("padchest") == 2  # a write to a mapped page without a block would kill the process
        assert "the disk is full" in said(capfd)
        remount(disk, "size=8m")
        assert stages.command("padchest") == 0


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_report_on_a_disk_that_takes_nothing_says_so_and_succeeds_later(
    reported_once: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], fault: str
) -> None:
    work = tmp_path / "work"
    shutil.copytree(reported_once, work)
    expected = {path.name: files.sha256_file(path) for path in sorted((work / "reports/tables").iterdir())}
    shutil.rmtree(work / "reports")
    with small_disk(work / "reports", "100k") as disk, working_in(work):
        remount(disk, "size=100k" if fault == "full" else "ro")
        assert cli.main(["report"]) == 2
        assert ("the disk is full; free some space" if fault == "full" else "is read-only") in said(capfd)
        assert not list(disk.glob("*.pdf"))
        assert leftovers(disk) == []
        remount(disk, "size=32m,rw")
        assert cli.main(["report"]) == 0
        assert {path.name: files.sha256_file(path) for path in sorted((disk / "tables").iterdir())} == expected


WEIGHTS = layout.run("clip", 0) / "model.safetensors"


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_train_on_a_disk_that_takes_nothing_says_so_and_learns_the_same_later(
    undisturbed: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], fault: str
) -> None:
    work = tmp_path / "work"
    workplace.write(work, workplace.params(training={"checkpoint_seconds": 1e-9}))
    command = ["train", "--system", "clip", "--seed", "0"]
    with small_disk(work / "runs", "64k" if fault == "full" else "16m") as disk, working_in(work):
        remount(disk, "size=64k" if fault == "full" else "ro")
        assert cli.main(command) == 2
        assert ("disk is full" if fault == "full" else "is read-only") in said(capfd)
        assert not WEIGHTS.exists()
        assert leftovers(disk) == []
        remount(disk, "size=16m,rw")
        assert cli.main(command) == 0
        assert files.sha256_file(WEIGHTS) == files.sha256_file(undisturbed / WEIGHTS)


def backwards() -> Callable[[], float]:
    """A wall clock that is set back by an hour whenever somebody looks."""
    now = time.time()

    def shown() -> float:
        nonlocal now
        now -= 3600
        return now

    return shown


def test_a_clock_that_runs_backwards_changes_no_weight_and_no_duration(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.write(tmp_path)
    monkeypatch.setattr(time, "time", backwards())
    with working_in(tmp_path):
        train.run("clip", 0)
        ledger = files.read_json(layout.run("clip", 0) / "ledger.json")
        assert 0 < ledger["spent"]["device_seconds"] < 3600
        assert files.sha256_file(WEIGHTS) == files.sha256_file(undisturbed / WEIGHTS)


@pytest.fixture
def local(reported_once: Path, empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a reported run whose MLflow store is the file that params.yaml names, still empty."""
    shutil.copytree(reported_once, tmp_path / "work")
    shutil.copy(empty_store, tmp_path / "work")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path / "work"


def test_a_clock_that_runs_backwards_changes_no_result_and_every_run_ends_after_it_began(
    local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with working_in(local):
        measure.run()
    before = {path.name: files.sha256_file(path) for path in sorted((local / layout.RESULTS).glob("*.csv"))}
    monkeypatch.setattr(time, "time", backwards())
    with working_in(local):
        measure.run()
        track.run()
        with sqlite3.connect("mlflow.db") as held:
            spans = held.execute("SELECT start_time, end_time FROM runs").fetchall()
    assert before.items() <= {p.name: files.sha256_file(p) for p in (local / layout.RESULTS).glob("*.csv")}.items()
    assert len(spans) > 10
    assert all(start <= end for start, end in spans)


def test_a_store_in_a_folder_that_cannot_be_made_fails_nothing_and_the_next_run_logs(
    reported_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    shutil.copytree(reported_once, work)
    (work / "no_folder").write_text("a file where the store's folder should be")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{work}/no_folder/mlflow.db")
    with working_in(work):
        track.run()
        assert "not logged" in (missing := said(capfd))
        assert "The results are complete without it" in missing
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
        track.run()
        assert "runs logged, 0 were there" in said(capfd)


def test_a_locked_mlflow_store_fails_nothing_and_the_next_run_logs(
    local: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with working_in(local):
        track.run()
        listed = layout.TRACKED.read_bytes()
        layout.TRACKED.unlink()
        capfd.readouterr()
        holder = sqlite3.connect("mlflow.db", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        try:
            track.run()
        finally:
            holder.execute("ROLLBACK")
            holder.close()
        assert "not logged" in (locked := said(capfd))
        assert "The results are complete without it" in locked
        assert layout.TRACKED.read_bytes() == listed
        track.run()
        assert " 0 runs logged" in said(capfd)


def test_a_store_that_is_no_database_fails_nothing(local: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with working_in(local):
        Path("mlflow.db").write_bytes(b"half a database" * 100)
        track.run()
        assert "not logged" in said(capfd)
        assert Path("mlflow.db").read_bytes() == b"half a database" * 100  # nobody's file is thrown away
        Path("mlflow.db").unlink()
        track.run()
        assert "runs logged, 0 were there" in said(capfd)


def test_an_unforeseen_error_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.planning import plan

    def breaks(modules: dict[str, str]) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(plan, "run", breaks)
    with pytest.raises(OSError, match="Input/output"):
        cli.main(["plan"])

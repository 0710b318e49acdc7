"""One process on a node: its end, its environment, and that it never outlives who watches it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.fanout import worker
from benchmark.fanout.worker import Ended, Job
from tests.benchmark.fanout import repository

PATIENCE = 60


def job(folder: Path, code: str, **changes: object) -> Job:
    """A job that runs a piece of Python."""
    (folder / "token").write_text("secret")
    values = {
        "item": "train@clip-0", "arguments": ("-c", textwrap.dedent(code)), "folder": str(folder),
        "log": str(folder / "log"), "token": "secret", "token_file": str(folder / "token"), "attempt": 1,
        "environment": {},
    }  # fmt: skip
    return Job(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("code", "status"),
    [("print('said')", 0), ("raise SystemExit(2)", 2), ("import os; os.kill(os.getpid(), 9)", -9)],
)
def test_the_end_of_a_process_is_told(tmp_path: Path, code: str, status: int) -> None:
    assert worker.supervise(job(tmp_path, code), "node") == Ended(status)


def test_the_log_says_who_ran_what_and_where_and_grows(tmp_path: Path) -> None:
    for attempt in (1, 2):
        worker.supervise(job(tmp_path, "print('said')", attempt=attempt), "0a1b")
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.startswith(f"--- attempt {number} on ") for number, line in ((1, lines[0]), (2, lines[2]))] == [
        True
    ] * 2
    assert "[0a1b]" in lines[0]
    assert lines[1] == lines[3] == "said"


def test_threads_are_those_of_who_asked_and_not_what_ray_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("OF_THE_NODE", "kept")
    show = "import os; print(os.environ.get('OMP_NUM_THREADS'), os.environ.get('OF_THE_NODE'))"
    worker.supervise(job(tmp_path, show), "node")
    worker.supervise(job(tmp_path, show, environment={"OMP_NUM_THREADS": "3"}), "node")
    said = [line for line in (tmp_path / "log").read_text().splitlines() if not line.startswith(worker.MARK)]
    assert said == ["None kept", "3 kept"]


def test_a_node_that_does_not_see_the_folder_runs_nothing(tmp_path: Path) -> None:
    ended = worker.supervise(job(tmp_path, "print(1)", token="another"), "node")
    assert ended.problem.endswith(f"does not see {tmp_path}")
    assert not (tmp_path / "log").exists()


@pytest.fixture(params=[signal.default_int_handler, signal.SIG_IGN], ids=["in the foreground", "in the background"])
def started(request: pytest.FixtureRequest) -> Iterator[signal.Handlers]:
    """What a process hears of Ctrl-C: all that `command &` of a script starts ignores it."""
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


def interrupt_when(path: Path) -> None:
    """Ctrl-C for this process as soon as a file is there, as Ray does it."""

    def wait() -> None:
        deadline = time.monotonic() + PATIENCE
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


STOPS = """
    import pathlib, signal, sys, time
    def end(*_):
        pathlib.Path("checkpoint").touch()
        sys.exit(2)
    signal.signal(signal.SIGTERM, end)
    pathlib.Path("begun").touch()
    time.sleep(600)
"""


def test_asked_to_stop_it_lets_the_process_write_its_checkpoint(tmp_path: Path, started: signal.Handlers) -> None:
    interrupt_when(tmp_path / "begun")
    assert worker.supervise(job(tmp_path, STOPS), "node") == Ended(2, stopped=True)
    assert (tmp_path / "checkpoint").exists()
    assert signal.getsignal(signal.SIGINT) is started


def test_a_process_that_does_not_stop_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: signal.Handlers
) -> None:
    monkeypatch.setattr(worker, "SECONDS_TO_STOP", 0.5)
    interrupt_when(tmp_path / "begun")
    stubborn = """
        import pathlib, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        pathlib.Path("child").write_text(str(child.pid))
        pathlib.Path("begun").touch()
        time.sleep(600)
    """
    assert worker.supervise(job(tmp_path, stubborn), "node") == Ended(-9, stopped=True)
    assert is_gone(int((tmp_path / "child").read_text()))


def is_gone(process: int) -> bool:
    """Whether a process ends within a while (a zombie has ended)."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_a_process_ends_with_the_worker_that_watched_it(tmp_path: Path) -> None:
    """Else it would train on beside the one that takes its place."""
    watcher = f"""
        from pathlib import Path
        from tests.benchmark.fanout.test_worker import job
        from benchmark.fanout import worker
        sleeps = "import os, pathlib, time; pathlib.Path('begun').write_text(str(os.getpid())); time.sleep(600)"
        worker.supervise(job(Path({str(tmp_path)!r}), sleeps), "node")
    """
    watching = subprocess.Popen([sys.executable, "-c", textwrap.dedent(watcher)], env=repository.environment())
    deadline, begun = time.monotonic() + PATIENCE, tmp_path / "begun"
    while not (begun.exists() and begun.read_text()):
        assert watching.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    watching.kill()
    watching.wait()
    assert is_gone(int(begun.read_text()))

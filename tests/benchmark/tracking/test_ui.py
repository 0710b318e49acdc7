"""Ending `ui` ends every process that MLflow started and frees the port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import serving

pytest.importorskip("mlflow")
REPOSITORY = Path(__file__).resolve().parents[3]
MARK = "OFFCLIP_TEST_OF_UI"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def marked(value: str) -> list[int]:
    """Living processes whose environment holds the mark: what was started here, however far down."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            alive = entry.name.isdigit() and (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
            if alive and f"{MARK}={value}\0".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")


@pytest.fixture
def value() -> Iterator[str]:
    """What marks the processes of this test; those that a failing one leaves are killed."""
    mark = f"{os.getpid()}-{time.monotonic_ns()}"
    yield mark
    for process in marked(mark):
        os.kill(process, signal.SIGKILL)


def start(command: list[str], folder: Path, value: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), MARK: value}
    environment.pop("MLFLOW_TRACKING_URI", None)
    with open(folder / "log", "w") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)


@needs_proc
def test_nothing_is_left_behind_and_nothing_runs_but_the_pages(empty_store: Path, tmp_path: Path, value: str) -> None:
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    shutil.copy(empty_store, tmp_path)
    for _ in range(5):
        port = free_port()
        ui = start([sys.executable, "-m", "benchmark", "ui", "--port", str(port)], tmp_path, value)
        if serving.answers(f"http://127.0.0.1:{port}/health", ui):
            break  # else somebody else may have taken the port in between
    else:
        raise AssertionError((tmp_path / "log").read_text())
    started = [Path(f"/proc/{process}/cmdline").read_text() for process in marked(value)]
    assert len(started) > 1
    assert not [command for command in started if "mlflow.server.jobs" in command]
    ui.send_signal(signal.SIGINT)
    assert ui.wait(timeout=serving.PATIENCE) == 0
    assert marked(value) == []
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_signal_ends_a_server_with_the_processes_that_it_started(
    number: signal.Signals, tmp_path: Path, value: str
) -> None:
    server = ["sh", "-c", "sleep 9999 & sleep 9999 & wait"]  # in MLflow's place, which takes seconds to start
    code = "import os, sys; from benchmark.tracking import track; "
    code += f"sys.exit(track._until_ended({server}, {{**os.environ}}))"
    ui = start([sys.executable, "-c", code], tmp_path, value)
    end = time.monotonic() + serving.PATIENCE
    while len(marked(value)) < 4:  # itself, the shell, and what that started
        assert ui.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < end
        time.sleep(0.05)
    ui.send_signal(number)
    assert ui.wait(timeout=serving.PATIENCE) == 0
    assert marked(value) == []

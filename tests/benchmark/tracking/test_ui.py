"""Ending `ui` ends every process that MLflow started and frees the port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
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


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_behind(number: signal.Signals, empty_store: Path, tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "params.yaml", tmp_path)
    shutil.copy(empty_store, tmp_path)
    value = f"{os.getpid()}-{number.name}"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), MARK: value}
    environment.pop("MLFLOW_TRACKING_URI", None)
    try:
        for _ in range(5):
            port = free_port()
            command = [sys.executable, "-m", "benchmark", "ui", "--port", str(port)]
            with open(tmp_path / "log", "w") as log:
                ui = subprocess.Popen(
                    command, cwd=tmp_path, env=environment, stdout=log, stderr=log, start_new_session=True
                )
            if serving.answers(f"http://127.0.0.1:{port}/health", ui):
                break  # else somebody else may have taken the port in between
        else:
            raise AssertionError((tmp_path / "log").read_text())
        started = [Path(f"/proc/{process}/cmdline").read_text() for process in marked(value)]
        assert len(started) > 1
        assert not [command for command in started if "mlflow.server.jobs" in command]
        ui.send_signal(number)
        assert ui.wait(timeout=serving.PATIENCE) == 0
        assert marked(value) == []
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))
    finally:
        for process in marked(value):
            os.kill(process, signal.SIGKILL)

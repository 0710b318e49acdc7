"""A server of the tests' own, at a port that nobody else uses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 900
"""Seconds in which a server must answer; it takes ten on an idle machine, and only one that hangs takes so long."""


@contextmanager
def served(command: Callable[[int], list[str]], folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of an MLflow server that runs for the block in a process group of its own.

    Args:
        command: port -> what starts it.
        folder: where it runs; its log lies there.
        environment: of the process.
    """
    with open(folder / "server.log", "w") as log:
        for _ in range(5):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            process = subprocess.Popen(
                command(port), cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            if answers(f"http://127.0.0.1:{port}/health", process):
                break  # else somebody else may have taken the port in between
        else:
            raise AssertionError((folder / "server.log").read_text())
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def answers(address: str, process: subprocess.Popen[bytes]) -> bool:
    """Wait for the first answer; False where the server ended instead."""
    end = time.monotonic() + PATIENCE
    while process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=30)
        except OSError:
            assert time.monotonic() < end, f"nobody answers at {address}"
            time.sleep(0.2)
        else:
            return process.poll() is None
    return False

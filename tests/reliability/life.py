"""One `dvc repro` as a person would start it, to be watched, waited for or killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.materials import wheels
from benchmark.pipeline import layout
from tests.repository import REPOSITORY

RUNNING = re.compile(r"Running stage '([\w@.-]+)'")
PATIENCE = 400
"""Seconds in which a life must reach its next stage or end."""


class Life:
    """One `dvc repro` in a process group of its own, its output in a file."""

    def __init__(self, folder: Path, name: str, *arguments: str) -> None:
        self.log = folder.parent / f"{folder.name}-{name}.log"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "MLFLOW_TRACKING_URI": ""}
        environment["OMP_NUM_THREADS"] = "1"  # two of them share the cores
        if list((REPOSITORY / layout.MATERIALS).glob("*.whl")):  # no index is asked for them again and again
            environment.setdefault(wheels.HAND_PLACED, str(REPOSITORY / layout.MATERIALS))
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dvc", "repro", *arguments],
                cwd=folder, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    def started(self) -> list[str]:
        """The stages that have started, such as ``prepare@open_i``."""
        return RUNNING.findall(self.text())

    def stages(self) -> Iterator[str]:
        """Each stage as it starts, until the process ends."""
        seen, last = 0, time.monotonic()
        while True:
            ended, started = self.ended, self.started()  # in this order: what it said last is read
            if len(started) > seen:
                last = time.monotonic()
                yield started[seen]
                seen += 1
            elif ended:
                return
            elif time.monotonic() - last > PATIENCE:
                self.kill()
                raise AssertionError(f"no stage for {PATIENCE} s, see {self.log}")
            else:
                time.sleep(0.01)

    def kill(self, *, orphan: bool = False) -> None:
        """SIGKILL: the whole group as when the power fails, or with ``orphan`` `dvc` alone, its stage living on."""
        if orphan:
            self.process.kill()
        else:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still for the block, locks held."""
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    def finish(self) -> str:
        """Wait for the end, which must be a good one; what it said."""
        assert self.process.wait(PATIENCE * 3) == 0, f"{self.log}: {self.text()[-3000:]}"
        return self.text()

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

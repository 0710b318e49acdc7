"""Curves in MLflow while a model trains: the training's end of a pipe to a process that logs them (follow.py).

Nothing is started unless the environment names a store (MLFLOW_TRACKING_URI). A process of its own, rather than
a thread, because importing MLflow in a thread keeps Python's lock from the training for seconds, and
its memory would be counted as the training's. The training never waits for it: writes do not block, and at the end
it is given ``FINISH_SECONDS``. What it cannot log is one sentence.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from benchmark.common.errors import Stopped
from benchmark.common.progress import say
from benchmark.compute.watching import Subject

URI = "MLFLOW_TRACKING_URI"
SECONDS_BETWEEN_POINTS = 5.0
FINISH_SECONDS = 10.0
"""How long the end of a training waits for the last points."""
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class _Follower:
    """The process that logs, and both ends of the conversation; no call of it waits but ``end``."""

    process: subprocess.Popen[bytes]
    points: IO[bytes]
    words: IO[bytes]

    @classmethod
    def start(cls) -> _Follower:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmark.tracking.follow"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        points, words = process.stdin, process.stdout
        assert points is not None
        assert words is not None
        for pipe in (points, words):
            os.set_blocking(pipe.fileno(), False)
        return cls(process, points, words)

    def tell(self, message: Mapping[str, Any]) -> None:
        """One line; below PIPE_BUF, so that a write is whole or raises BlockingIOError."""
        os.write(self.points.fileno(), json.dumps(message).encode() + b"\n")

    def hear(self) -> str:
        """What it had to say by now: a sentence a line."""
        try:
            return os.read(self.words.fileno(), 1 << 16).decode(errors="replace").strip()
        except BlockingIOError:
            return ""

    def end(self, seconds: float) -> bool:
        """Wait for its last words; False if it had to be killed."""
        self.points.close()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
        return True


class Curves:
    """Call it with each step's numbers; a point in a few seconds is kept, and every validated step."""

    def __init__(self, subject: Subject, wanted: bool = True) -> None:
        self._subject = subject
        self._wanted = wanted and bool(os.environ.get(URI))
        self._follower: _Follower | None = None
        self._unsent: Mapping[str, float] | None = None
        """Newest numbers, if they are not sent."""
        self._before = (math.nan, math.nan)
        """Time and samples at the point before."""

    def __enter__(self) -> Curves:
        if self._wanted:
            try:
                self._follower = _Follower.start()
            except OSError as error:
                say(f"MLflow: no live curves: no process could be started ({error}).")
            self._tell(asdict(self._subject))
        return self

    def __call__(self, numbers: Mapping[str, float]) -> None:
        """Take the numbers after a step: a row of History (``step`` among them); NaN where there is none."""
        if self._follower is None:
            return
        self._unsent = numbers
        early = time.monotonic() - self._before[0] < SECONDS_BETWEEN_POINTS
        if not early or math.isfinite(numbers["validation_loss"]):
            self._send(numbers)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._unsent is not None:
            self._send(self._unsent)
        self._tell({"status": _status(kind)})
        if (follower := self._follower) is None:
            return
        if follower.end(FINISH_SECONDS):
            self._repeat(follower.hear())
        else:
            say(
                "MLflow: the live curves are incomplete: the store did not accept the last points within "
                f"{FINISH_SECONDS:g} s."
            )

    def _send(self, numbers: Mapping[str, float]) -> None:
        now, (before, samples) = time.monotonic(), self._before
        metrics = {f"training/{name}": value for name, value in numbers.items() if name != "step"}
        if now > before:
            metrics["training/samples_per_second"] = (numbers["samples"] - samples) / (now - before)
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        self._before, self._unsent = (now, numbers["samples"]), None
        self._tell({"step": numbers["step"], "milliseconds": int(time.time() * 1000), "metrics": finite})
        if self._follower:
            self._repeat(self._follower.hear())

    def _tell(self, message: Mapping[str, Any]) -> None:
        if self._follower is None:
            return
        try:
            self._follower.tell(message)
        except BlockingIOError:
            pass  # a point less: it empties the pipe at once, so it has been stopped for long
        except OSError:
            said = self._follower.hear() or "the process that logs live curves ended"
            self._follower.end(0)
            self._follower = None
            self._repeat(said)

    def _repeat(self, said: str) -> None:
        for sentence in said.splitlines():
            say(f"MLflow: {sentence}")


def _status(kind: type[BaseException] | None) -> str:
    """MLflow's word for how a block was left."""
    if kind is None:
        return "FINISHED"
    return "KILLED" if issubclass(kind, (Stopped, KeyboardInterrupt, SystemExit)) else "FAILED"

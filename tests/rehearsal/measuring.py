"""A command as a process of its own: how long it took, its processor time, and the memory of its largest process."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CROWD = 1.5
"""Processes that want to compute, for each processor, above which a machine is called busy (mean over a minute)."""


@dataclass(frozen=True)
class Limit:
    """What a stage may take; None: nobody said."""

    seconds: float | None = None
    gigabytes: float | None = None


@dataclass(frozen=True)
class Measured:
    """What it took."""

    stage: str
    seconds: float
    """By the clock: on a machine that others use, more than the stage needs."""
    processor_seconds: float
    """User and system time, of child processes too."""
    gigabytes: float
    """Largest resident memory of one process, 10^9 bytes."""
    limit: Limit
    status: int = 0
    busy: bool = False
    """Whether more processes wanted to compute than there are processors."""

    @property
    def is_within(self) -> bool:
        """Whether it succeeded within its limit: by the clock, or on a busy machine by its processor time."""
        spent = min(self.seconds, self.processor_seconds) if self.busy else self.seconds
        pairs = ((spent, self.limit.seconds), (self.gigabytes, self.limit.gigabytes))
        return self.status == 0 and all(most is None or found <= most for found, most in pairs)

    @property
    def verdict(self) -> str:
        """A word on the limit, where there is one."""
        if self.status:
            return f"FAILED ({self.status})"
        if self.limit == Limit():
            return ""
        over = self.limit.seconds is not None and self.seconds > self.limit.seconds
        return "OVER" if not self.is_within else "within, by processor time (busy machine)" if over else "within"


def measured(
    stage: str, command: Sequence[str], folder: Path, limit: Limit, environment: Mapping[str, str] | None = None
) -> Measured:
    """Run a command in a folder; its output goes to ``<stage>.log`` beside the folder."""
    with open(folder.with_name(f"{stage.replace(' ', '-')}.log"), "wb") as log:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    return Measured(
        stage,
        seconds,
        used.ru_utime + used.ru_stime,
        used.ru_maxrss * 1024 / 1e9,
        limit,
        process.returncode,
        os.getloadavg()[0] > CROWD * (os.cpu_count() or 1),
    )


def table(rows: Sequence[Measured]) -> str:
    """The measurements as Markdown."""
    lines = [
        "| stage | time, s | processor, s | peak, GB | allowed | |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        parts = [f"{most:g} {unit}" for most, unit in ((row.limit.seconds, "s"), (row.limit.gigabytes, "GB")) if most]
        lines.append(
            f"| {row.stage} | {row.seconds:.1f} | {row.processor_seconds:.1f} | {row.gigabytes:.2f} | "
            f"{', '.join(parts) or '-'} | {row.verdict} |"
        )
    return "\n".join(lines)

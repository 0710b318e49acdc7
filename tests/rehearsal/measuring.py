"""A command as a process of its own: how long it took, its processor time, and the memory of its largest process."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


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

    @property
    def is_within(self) -> bool:
        """Whether it succeeded within its limit."""
        pairs = ((self.seconds, self.limit.seconds), (self.gigabytes, self.limit.gigabytes))
        return self.status == 0 and all(most is None or found <= most for found, most in pairs)


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
        stage, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e9, limit, process.returncode
    )


def table(rows: Sequence[Measured]) -> str:
    """The measurements as Markdown."""
    lines = [
        "| stage | time, s | processor, s | peak, GB | allowed | |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        parts = [f"{most:g} {unit}" for most, unit in ((row.limit.seconds, "s"), (row.limit.gigabytes, "GB")) if most]
        verdict = f"FAILED ({row.status})" if row.status else "within" if row.is_within else "OVER"
        lines.append(
            f"| {row.stage} | {row.seconds:.1f} | {row.processor_seconds:.1f} | {row.gigabytes:.2f} | "
            f"{', '.join(parts) or '-'} | {verdict if parts or row.status else ''} |"
        )
    return "\n".join(lines)

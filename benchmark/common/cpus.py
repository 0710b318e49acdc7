"""How many processors this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
"""Where Linux shows control groups."""
MEMBERSHIP = Path("/proc/self/cgroup")


def available() -> int:
    """Processors that affinity and control group allow, at least 1: a container of 4 on a machine of 128 has 4."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min([count, *(math.ceil(quota) for quota in _quotas())]), 1)


def _quotas() -> Iterator[float]:
    """Processors' worth of time that each control group around this process allows (cgroup v2, then v1)."""
    try:
        own = [line.split(":", 2)[2] for line in MEMBERSHIP.read_text().splitlines() if line.startswith("0::")]
    except OSError:
        own = []
    group = GROUPS / (own[0].strip("/") if own else "")
    for folder in [group, *group.parents]:
        if folder == GROUPS or GROUPS in folder.parents:
            quota, period = [*_words(folder / "cpu.max"), "max", "max"][:2]
            if quota.isdigit() and period.isdigit():
                yield int(quota) / int(period)
    old = GROUPS / "cpu"
    quota, period = ([*_words(old / f"cpu.cfs_{name}_us"), ""][0] for name in ("quota", "period"))
    if quota.isdigit() and period.isdigit():
        yield int(quota) / int(period)


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []

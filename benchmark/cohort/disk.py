"""What the disk says of files without opening them: size and time."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

LOOKERS = 16
"""Threads: on a network disk the answer is waited for, not computed."""
ABSENT = -1
"""Size and time where no regular file is."""


def look_up(root: Path, paths: Sequence[str]) -> pd.DataFrame:
    """path, size (bytes, int64) and modified (ns, int64) of each file below ``root``; ``ABSENT`` where it is not."""

    def state(path: str) -> tuple[int, int]:
        try:
            found = os.stat(root / path)
        except (OSError, ValueError):  # ValueError: a name that no file can bear
            return ABSENT, ABSENT
        return (found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else (ABSENT, ABSENT)

    def states(some: Sequence[str]) -> list[tuple[int, int]]:
        return [state(path) for path in some]

    parcels = [paths[at : at + 512] for at in range(0, len(paths), 512)]
    with ThreadPoolExecutor(LOOKERS) as pool:
        found = [pair for parcel in pool.map(states, parcels) for pair in parcel]
    table = pd.DataFrame(found, columns=["size", "modified"], dtype="int64")
    table.insert(0, "path", list(paths))
    return table

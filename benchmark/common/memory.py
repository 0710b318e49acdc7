"""How a process asks the system for memory: what it frees, it keeps for the next step or image.

Returned to the kernel, memory would be cleared and mapped again each time: a tenth of a small training step on a CPU,
and nearly half of decoding a radiograph. Source: mallopt(3).
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""malloc.h of the GNU C library."""
MMAP_THRESHOLDS = 1 << 30, 32 << 20
"""Bytes; older versions refuse the first."""


def keep_freed() -> None:
    """Keep what is freed. Only the GNU C library has the switch; elsewhere nothing happens."""
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            any(mallopt(M_MMAP_THRESHOLD, size) for size in MMAP_THRESHOLDS)  # 1 = taken
            mallopt(M_TRIM_THRESHOLD, 2**31 - 1)

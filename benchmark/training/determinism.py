"""Same seed, same machine, same bits.

Nothing draws from a generator that outlives a step: the shuffle is a function of (seed, epoch),
augmentation and dropout of (seed, step). A resumed run therefore needs no generator state, and a
recomputed chunk sees the dropout it saw before.
"""

from __future__ import annotations

import os

import numpy as np
import torch

SHUFFLE, PICTURE, AUGMENT, DROPOUT, INITIAL = range(5)
"""What a stream of random numbers is for."""


def setup(deterministic: bool, threads: int) -> None:
    """Fix the thread count and, if asked, the algorithms. Call before the first CUDA kernel."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)
    # Filling fresh memory guards against reading it unset; the models here never do, and it costs a pass each.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not deterministic


def stream(*key: int) -> int:
    """A 63-bit seed from a key such as ``(seed, AUGMENT, step)``; different keys, independent streams."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


def generator(*key: int) -> torch.Generator:
    """A CPU generator for a key."""
    return torch.Generator().manual_seed(stream(*key))

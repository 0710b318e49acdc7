"""Same seed, same machine, same bits.

Nothing draws from a generator that outlives a step: the shuffle is a function of (seed, epoch),
augmentation and dropout of (seed, step). A resumed run therefore needs no generator state, and a
recomputed chunk sees the dropout it saw before.
"""

from __future__ import annotations

import numpy as np
import torch

SHUFFLE, AUGMENT, DROPOUT, INITIAL = 0, 2, 3, 4
"""What a stream of random numbers is for."""


def stream(*key: int) -> int:
    """A 63-bit seed from a key such as ``(seed, AUGMENT, step)``; different keys, independent streams."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


def generator(*key: int) -> torch.Generator:
    """A CPU generator for a key."""
    return torch.Generator().manual_seed(stream(*key))

"""What changes as the budget is spent: the learning rate and the batch size.

Both are pure functions of progress (0 at the start, 1 when the budget is spent), so that systems with
expensive and cheap steps pass through the same schedule, and a resumed run continues where it was.
One-cycle: Smith & Topin 2017, arXiv 1708.07120 (cosine form); cosine: Loshchilov & Hutter, arXiv 1608.03983.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.pipeline.settings import TrainingSettings

FIRST, LAST = 1 / 25, 1e-4
"""Learning rate at the start and at the end of a cycle, as parts of the peak."""


def _cosine(start: float, end: float, part: float) -> float:
    """From ``start`` (part 0) to ``end`` (part 1) along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def learning_rate(training: TrainingSettings, progress: float) -> float:
    """Learning rate of the step that begins at ``progress`` in [0, 1]."""
    progress = min(max(progress, 0.0), 1.0)
    peak, warmup = training.learning_rate, training.warmup
    rising = progress < warmup
    part = progress / warmup if rising else (progress - warmup) / (1 - warmup)
    if training.schedule == "one_cycle":
        return peak * (_cosine(FIRST, 1, part) if rising else _cosine(1, LAST, part))
    if rising:
        return peak * max(part, FIRST)
    return peak * _cosine(1, 0, part) if training.schedule == "cosine" else peak


def batch_size(training: TrainingSettings, progress: float) -> int:
    """Pairs of the step (over all processes) that begins at ``progress``."""
    if isinstance(training.batch_size, int):
        return training.batch_size
    return [size for start, size in training.batch_size if start <= progress][-1]


def batch_sizes(training: TrainingSettings) -> list[int]:
    """Every batch size the schedule uses, ascending."""
    sizes = training.batch_size
    return [sizes] if isinstance(sizes, int) else sorted({size for _, size in sizes})

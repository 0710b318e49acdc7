"""Progress a person can read: a bar on a terminal, a line every ten seconds elsewhere.

``rich`` honours ``NO_COLOR`` and non-terminals; in a log file a redrawn bar is noise, so there a
plain line with count, rate and time left is printed instead.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 10.0
console = Console(stderr=True, highlight=False)


def say(message: str) -> None:
    """Print one line to standard error."""
    console.print(message, soft_wrap=True, markup=False)


def spoken(seconds: float) -> str:
    """A duration as a person says it: ``"40 s"``, ``"12 min"``, ``"3 h 20 min"``; ``"?"`` where it is not known."""
    if not math.isfinite(seconds):
        return "?"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def with_progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterator[Item]:
    """Yield ``items`` while showing how far they are.

    Args:
        items: anything iterable.
        what: what is being done, e.g. ``"rendering vindr_cxr"``.
        total: how many items there are; ``len(items)`` where it is None and known.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)  # type: ignore[arg-type]
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as progress:
            yield from progress.track(items, total=total, description=what)
        return
    start = last = time.monotonic()
    count = 0
    for count, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            each = (now - start) / count
            rate = f"{1 / each:.1f}/s" if each < 1 else f"{spoken(each)} each"
            left = f", {spoken((total - count) * each)} left" if total else ""
            say(f"{what}: {count}{f' of {total}' if total else ''}, {rate}{left}")
    say(f"{what}: {count} done in {spoken(time.monotonic() - start)}")

"""How far each item is: read from its log, shown as one line each."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.live import Live
from rich.table import Table

from benchmark.common.progress import console, say
from benchmark.fanout.worker import MARK

SECONDS_BETWEEN_LINES = 30.0
"""Off a terminal, between two lines of an item whose state stays the same."""
TAIL_BYTES = 16_384
"""Of a log are read."""
NODE = re.compile(re.escape(MARK) + r" (\d+) on .*? \[(\w+)\]")
SHARE = re.compile(r"(\d+(?:\.\d+)?)% of the budget")
COUNT = re.compile(r": (\d+) of (\d+)[, ]")
LEFT = re.compile(r", ([^,]+) left\b")
SAID = re.compile(r"^error: (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Glance:
    """What a log says of the present attempt."""

    attempt: int = 0
    """Its number; 0 where none has begun."""
    node: str = ""
    """Ray's id of its node."""
    share: float | None = None
    """Of the budget, or of what there is to count; None where nothing was said."""
    left: str = ""
    """Time left, as the item says it."""
    sentence: str = ""
    """The error that it ended with."""
    last: str = ""
    """Its last line."""


def tail(log: Path) -> str:
    """The end of a log, from the present attempt on as far as it is that short; "" where there is none."""
    try:
        with open(log, "rb") as handle:
            handle.seek(0, 2)
            handle.seek(max(handle.tell() - TAIL_BYTES, 0))
            text = handle.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    at = text.rfind(MARK)
    return text[at:] if at >= 0 else text


def glance(text: str) -> Glance:
    """Read the end of a log."""
    node, said = NODE.search(text), SAID.findall(text)
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith(MARK)]
    share, left = None, ""
    for line in reversed(lines):
        if found := SHARE.search(line):
            share = float(found[1]) / 100
        elif (found := COUNT.search(line)) and int(found[2]):
            share = int(found[1]) / int(found[2])
        if share is not None:
            left = (LEFT.search(line) or ["", ""])[1]
            break
    began = (int(node[1]), node[2]) if node else (0, "")
    return Glance(*began, share, left, said[-1] if said else "", lines[-1] if lines else "")


@dataclass
class Line:
    """What is shown of one item."""

    state: str
    glance: Glance = Glance()
    shown: tuple[str, float] = ("", 0.0)
    """State and time of its last line off a terminal."""


class Board:
    """One line an item: a table on a terminal, a line now and then elsewhere."""

    def __init__(self, node_name: Callable[[str], str], clock: Callable[[], float] = time.monotonic) -> None:
        """Show nothing yet.

        Args:
            node_name: Ray's id of a node -> its name.
            clock: seconds; replaced in tests.
        """
        self._name, self._clock = node_name, clock
        self._lines: dict[str, Line] = {}
        self._live: Live | None = None

    def __enter__(self) -> Board:
        if console.is_terminal:
            self._live = Live(console=console, refresh_per_second=2)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, states: Mapping[str, str], begun: Mapping[str, tuple[Path, int]]) -> None:
        """Show every item's state.

        Args:
            states: item -> state in words; of those in ``begun`` it is read from the log.
            begun: item -> log and number of the attempt that was put into the queue.
        """
        for name, state in states.items():
            line = self._lines.setdefault(name, Line(state))
            line.state = state
            if name in begun:
                log, attempt = begun[name]
                seen = glance(tail(log))
                line.glance = seen if seen.attempt == attempt else Glance()
                line.state = "running" if seen.attempt == attempt else "waiting for a machine"
            else:
                line.glance = Glance(node=line.glance.node)
        if self._live is not None:
            self._live.update(self._table())
            return
        now = self._clock()
        for name, line in self._lines.items():
            text = self.words(name)
            before, when = line.shown
            same = before.split(",")[0] == text.split(",")[0]
            if not same or (text != before and now - when >= SECONDS_BETWEEN_LINES):
                line.shown = (text, now)
                say(text)

    def words(self, name: str) -> str:
        """``train@clip-0: running on gpu-3, 42 %, 3 min left``."""
        line = self._lines[name]
        seen = line.glance
        where = f" on {self._name(seen.node)}" if seen.node else ""
        share = [] if seen.share is None else [f"{seen.share:.0%}"]
        left = [f"{seen.left} left"] if seen.left else []
        return ", ".join([f"{name}: {line.state}{where}", *share, *left])

    def _table(self) -> Table:
        table = Table("item", "state", "done", "left", "node", box=None, pad_edge=False)
        for name, line in self._lines.items():
            seen = line.glance
            share = "" if seen.share is None else f"{seen.share:.0%}"
            table.add_row(name, line.state, share, seen.left, self._name(seen.node) if seen.node else "")
        return table


def summary(states: Iterable[str]) -> str:
    """``3 done, 1 failed``, in the order of their first appearance."""
    counts: dict[str, int] = {}
    for state in states:
        counts[state] = counts.get(state, 0) + 1
    return ", ".join(f"{count} {state}" for state, count in counts.items())

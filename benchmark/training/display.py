"""One progress line of a run: throughput, time left, budget spent."""

from __future__ import annotations

import time
from types import TracebackType

from rich.progress import BarColumn, Progress, TextColumn

from benchmark.common.progress import SECONDS_BETWEEN_LINES, console, say, spoken
from benchmark.training.budget import Account


class Display:
    """A bar on a terminal, a plain line every ten seconds elsewhere; silent on all processes but the first."""

    def __init__(self, name: str, account: Account, silent: bool = False) -> None:
        self._name, self._account, self._silent = name, account, silent
        self._began = self._last = time.monotonic()
        self._first = (account.samples, account.progress)
        self._bar: Progress | None = None

    def __enter__(self) -> Display:
        if console.is_terminal and not self._silent:
            columns = TextColumn(f"training {self._name}"), BarColumn(), TextColumn("{task.fields[text]}")
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task(self._name, total=1.0, text="")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if kind is None and not self._silent:
            say(f"training {self._name}: {self._account.steps} steps, {self.text()}")

    def text(self, loss: float | None = None) -> str:
        """Throughput and budget so far, with the loss and the time left while it runs, or the time it took."""
        seconds = max(time.monotonic() - self._began, 1e-9)
        samples, progress = self._first
        done = self._account.progress - progress
        left = (1 - self._account.progress) * seconds / done if done > 0 else float("nan")
        rate = (self._account.samples - samples) / seconds
        spent = f"{self._account.spent:.3g} of {self._account.amount:.3g} {self._account.unit.replace('_', ' ')}"
        parts = [f"{self._account.progress:6.1%} of the budget ({spent})", f"{rate:.0f} pairs/s"]
        running = [] if loss is None else [f"loss {loss:.3f}", f"{spoken(left)} left"]
        return ", ".join(parts + (running or [spoken(seconds)]))

    def update(self, loss: float) -> None:
        """Show the state after a step, at most every so often."""
        now = time.monotonic()
        if self._silent or now - self._last < (0.2 if self._bar else SECONDS_BETWEEN_LINES):
            return
        self._last = now
        if self._bar is not None:
            self._bar.update(self._task, completed=self._account.progress, text=self.text(loss))
        else:
            say(f"training {self._name}: {self.text(loss)}")

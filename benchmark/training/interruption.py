"""Asked to stop: SIGTERM of a scheduler, Ctrl-C, or ``--max-minutes``. The loop looks between two steps."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType


class Interruption:
    """Catches the signals inside its block and remembers the first."""

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self, max_minutes: float | None = None) -> None:
        self._deadline = None if max_minutes is None else time.monotonic() + 60 * max_minutes
        self._minutes = max_minutes
        self._caught: int | None = None

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._catch) for number in self.SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in getattr(self, "_before", {}).items():
            signal.signal(number, handler)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        if self._caught == signal.SIGINT == number:
            raise KeyboardInterrupt  # a second Ctrl-C does not wait for the step
        self._caught = number

    def reason(self) -> str | None:
        """Why to stop now, as the beginning of a sentence; None to continue."""
        if self._caught is not None:
            return f"Stopped by {signal.Signals(self._caught).name}"
        if self._deadline is not None and time.monotonic() >= self._deadline:
            return f"Stopped after {self._minutes:g} minutes"
        return None

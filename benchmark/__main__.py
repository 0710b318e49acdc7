"""``python -m benchmark``: see ``benchmark.cli``."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

from benchmark.cli import main
from benchmark.common.errors import UserError


def end_after_the_sentence(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends the process, but not while it says why it ends: torchrun sends it when one process is lost."""
    if not isinstance(sys.exc_info()[1], UserError):
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end_after_the_sentence)
    sys.exit(main())

"""The one exception a person is meant to read.

``UserError`` carries one sentence: what was expected, what was found, where (file, row, column)
and what to do. The command line prints it without a traceback and exits with status 2; any other
exception is a defect of the harness and keeps its traceback.
"""

from __future__ import annotations

from offclip.names import nearest

__all__ = ["Stopped", "UserError", "nearest", "one_line"]


class UserError(Exception):
    """A problem in the input, the settings or the machine that its user can fix."""


class Stopped(UserError):
    """Nothing is wrong: the work was asked to stop, and the same command resumes it."""


def one_line(error: BaseException, longest: int = 200) -> str:
    """Kind and words of somebody else's error, at most ``longest`` characters of them, for a sentence of ours."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:longest]}"

"""The one exception a person is meant to read.

``UserError`` carries one sentence: what was expected, what was found, where (file, row, column)
and what to do. The command line prints it without a traceback and exits with status 2; any other
exception is a defect of the harness and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A problem in the input, the settings or the machine that its user can mend."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest of ``known``, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""

"""Valid names for error sentences: the nearest one, and one of a few; nothing heavy is imported here."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import TypeVar

Name = TypeVar("Name", bound=str)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest of ``known``, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def one_of(what: str, value: Name, known: Sequence[str]) -> Name:
    """Return ``value``.

    Raises:
        ValueError: it is none of ``known``; the sentence says what was expected of ``what``.
    """
    if value not in known:
        raise ValueError(f"{what} must be one of {', '.join(known)}, found '{value}'{nearest(str(value), known)}.")
    return value

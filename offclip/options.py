"""Options as data: each says its type and its range where it is declared; nothing heavy is imported to check it.

``width: Annotated[int, Range(1, 4096)] = 16`` in a frozen dataclass, or as a value of a table. Settings that are hours
away from their use are checked in a moment, and by the same rule where they are used.
"""

from __future__ import annotations

import math
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from offclip.names import nearest


@dataclass(frozen=True)
class Range:
    """Where a number may lie."""

    least: float = -math.inf
    most: float = math.inf
    above: float = -math.inf
    """Like ``least``, itself left out."""
    below: float = math.inf
    """Like ``most``, itself left out."""

    def holds(self, value: float) -> bool:
        """Whether a number lies inside."""
        return self.least <= value <= self.most and self.above < value < self.below

    def __str__(self) -> str:
        bounds = (("at least", self.least), ("above", self.above), ("at most", self.most), ("below", self.below))
        return " and ".join(f"{word} {bound:g}" for word, bound in bounds if math.isfinite(bound))


Size = Annotated[int, Range(1, 65_536)]
"""A number of channels, layers, heads or tokens."""
Positive = Annotated[float, Range(above=0)]
Weight = Annotated[float, Range(0)]


def typed(value: Any, hint: Any, where: str) -> Any:
    """``value`` as ``hint`` asks; YAML's 1 for 1.0 and its list for a tuple are accepted.

    Args:
        value: what params.yaml holds.
        hint: int, float, bool, str, None, a Literal of strings, a tuple or union of those, or one Annotated by a Range.
        where: the path printed in errors.

    Raises:
        ValueError: it is of another type, outside the range, or not finite.
    """
    try:
        return _typed(value, hint)
    except ValueError:
        hints = nearest(value, get_args(hint)) if get_origin(hint) is Literal and isinstance(value, str) else ""
        said = hints if hints.endswith("?") else f"{hints}."
        raise ValueError(f"`{where}` must be {described(hint)}, found {value!r}{said}") from None


def described(hint: Any) -> str:
    """A type and its range in words: ``int (at least 1)``."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return f"{described(inner[0])} ({inner[1]})"
    if origin is Literal:
        return f"one of {', '.join(inner)}"
    if origin in (Union, types.UnionType):
        return " or ".join(described(member) for member in inner)
    if origin is tuple:
        return f"list of {described(inner[0])}"
    return "null" if hint is type(None) else str(getattr(hint, "__name__", hint))


def known_names(values: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse names that are none of ``known``.

    Raises:
        ValueError: the sentence gives the first one's path and the nearest valid name.
    """
    names = list(known)
    for name in values:
        if name not in names:
            hint = nearest(str(name), names) or "."
            listed = f" Known: {', '.join(names)}." if names else " There are none."
            raise ValueError(f"`{where}.{name}` does not exist{hint}{listed}")


def typed_all(values: Mapping[str, Any], hints: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Every value as its hint asks.

    Raises:
        ValueError: an unknown name, or a value of another type or outside its range.
    """
    known_names(values, hints, where)
    return {name: typed(value, hints[name], f"{where}.{name}") for name, value in values.items()}


def _typed(value: Any, hint: Any) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        number = _typed(value, inner[0])
        if all(mark.holds(number) for mark in inner[1:] if isinstance(mark, Range)):
            return number
    elif origin in (Union, types.UnionType):
        for member in inner:
            try:
                return _typed(value, member)
            except ValueError:
                continue
    elif origin is tuple and isinstance(value, list | tuple):
        return tuple(_typed(item, inner[0]) for item in value)
    elif origin is Literal and value in inner:
        return value
    elif hint is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    elif hint in (int, bool, str, type(None)) and type(value) is hint:
        return value
    raise ValueError

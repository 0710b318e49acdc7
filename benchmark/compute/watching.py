"""What a training reports to whoever watches it while it runs; the command line decides who does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

Watch = Callable[[Mapping[str, float]], None]
"""Takes the numbers after a step: ``step``, ``samples``, losses, learning rate; NaN where there is none."""


@dataclass(frozen=True)
class Subject:
    """Whose curves these are; names and numbers of settings only, for a store may be read by others."""

    system: str
    seed: int
    key: str
    """Hash of what determines the training: interrupted and started again, it is the same subject."""
    params: Mapping[str, Any] = field(default_factory=dict)


class Watcher(Protocol):
    """Opens a watch over one training; with several processes only the first is ``wanted``."""

    def __call__(self, subject: Subject, wanted: bool = True) -> AbstractContextManager[Watch]:
        """A context that lasts as long as the training."""
        ...


@contextmanager
def unwatched(subject: Subject, wanted: bool = True) -> Iterator[Watch]:
    """Nobody watches."""
    yield lambda numbers: None

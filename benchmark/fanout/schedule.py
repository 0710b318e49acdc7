"""In which order items run, what is tried again, and what became of each; it knows neither DVC nor Ray.

An item starts when those that it needs have ended well. An attempt that was lost with its process or node is made
again, from the item's checkpoint, up to a number of times; what ends with an error of its own is not: the same would
come out. The others go on in either case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from benchmark.common.errors import UserError
from benchmark.common.progress import say
from benchmark.fanout.cluster import Lost
from benchmark.fanout.item import Item
from benchmark.fanout.progress import Glance
from benchmark.fanout.worker import Ended

ATTEMPTS = 3
"""At one item, at most."""
SECONDS_BETWEEN_LOOKS = 1.0
WAITS, BEGUN, DONE, CURRENT, FAILED, BLOCKED, STOPPED = (
    "waiting", "begun", "done", "up to date", "failed", "not started", "stopped"
)  # fmt: skip
GOOD = (DONE, CURRENT)


class Machines(Protocol):
    """Where attempts run."""

    def start(self, item: Item, attempt: int) -> None:
        """Put an attempt into the queue."""

    def ended(self, seconds: float) -> Iterator[tuple[str, Ended | Lost]]:
        """Items whose attempt ended, after at most so many seconds of waiting for one."""

    def stop(self) -> None:
        """Ask every attempt to stop; ``ended`` gives them one by one."""


class Keeper(Protocol):
    """Who decides what is out of date and takes over what was made."""

    def is_current(self, item: Item) -> bool:
        """Whether nothing needs to run."""

    def begins(self, item: Item) -> None:
        """Remember what it reads."""

    def take(self, item: Item) -> None:
        """Take over what it made; a UserError where that cannot be."""


@dataclass
class Progress:
    """What became of an item so far."""

    item: Item
    state: str = WAITS
    attempt: int = 0
    why: str = ""
    """Of a failure, a sentence."""


@dataclass
class Schedule:
    """The items of one wave, from their start to their end."""

    items: dict[str, Progress] = field(default_factory=dict)

    @classmethod
    def of(cls, items: Iterable[Item]) -> Schedule:
        """Nothing has begun."""
        return cls({item.name: Progress(item) for item in items})

    def states(self) -> dict[str, str]:
        """Item -> state in words."""
        return {name: progress.state for name, progress in self.items.items()}

    def begun(self) -> list[Progress]:
        """Those of which an attempt is in the queue or runs."""
        return [progress for progress in self.items.values() if progress.state == BEGUN]

    def failed(self) -> dict[str, str]:
        """Item -> why it has no result."""
        return {name: progress.why for name, progress in self.items.items() if progress.state in (FAILED, BLOCKED)}

    def block(self, name: str, needs: Iterable[str]) -> None:
        """Mark an item that cannot start because others failed."""
        self.items[name].state, self.items[name].why = BLOCKED, f"it needs {', '.join(sorted(needs))}"

    def run(
        self,
        machines: Machines,
        keeper: Keeper,
        look: Callable[[Item], Glance],
        show: Callable[[Schedule], None],
        asked_to_stop: Callable[[], bool],
    ) -> bool:
        """Run every item; False where it was stopped before the end.

        Args:
            machines: where attempts run.
            keeper: decides and takes over.
            look: what an item's log says at its end.
            show: called about once a second.
            asked_to_stop: looked at about once a second.
        """
        while not asked_to_stop():
            self._begin(machines, keeper, asked_to_stop)
            show(self)
            if not self.begun():
                return True
            for name, end in machines.ended(SECONDS_BETWEEN_LOOKS):
                self._end(self.items[name], end, machines, keeper, look)
        machines.stop()
        while self.begun():
            show(self)
            for name, end in machines.ended(SECONDS_BETWEEN_LOOKS):
                progress = self.items[name]
                if end == Ended(0):
                    self._take(progress, keeper)
                else:
                    progress.state = STOPPED
        show(self)
        return False

    def _begin(self, machines: Machines, keeper: Keeper, asked_to_stop: Callable[[], bool]) -> None:
        """Start what can start; mark what never can, and what needs no run."""
        settled = True
        while settled:  # one item's state lets another start, in whichever order they stand
            settled = False
            for name, progress in self.items.items():
                if progress.state != WAITS or asked_to_stop():
                    continue
                needs = [self.items[need] for need in progress.item.needs if need in self.items]
                if lost := [need.item.name for need in needs if need.state in (FAILED, BLOCKED)]:
                    self.block(name, lost)
                    settled = True
                elif all(need.state in GOOD for need in needs):
                    if keeper.is_current(progress.item):
                        progress.state = CURRENT
                        settled = True
                    else:
                        keeper.begins(progress.item)
                        self._attempt(progress, machines)

    def _attempt(self, progress: Progress, machines: Machines) -> None:
        progress.attempt += 1
        progress.state = BEGUN
        machines.start(progress.item, progress.attempt)

    def _end(
        self, progress: Progress, end: Ended | Lost, machines: Machines, keeper: Keeper, look: Callable[[Item], Glance]
    ) -> None:
        """What an attempt's end means."""
        name = progress.item.name
        if end == Ended(0):
            self._take(progress, keeper)
            return
        why, again = explained(end, look(progress.item))
        if again and progress.attempt < ATTEMPTS:
            say(f"{name}: {why}; it goes on from where it was (attempt {progress.attempt + 1} of {ATTEMPTS})")
            self._attempt(progress, machines)
            return
        times = f" ({progress.attempt} attempts)" if again else ""
        progress.state, progress.why = FAILED, f"{why}{times}; see {progress.item.log}"

    @staticmethod
    def _take(progress: Progress, keeper: Keeper) -> None:
        try:
            keeper.take(progress.item)
            progress.state = DONE
        except UserError as error:
            progress.state, progress.why = FAILED, str(error)


def explained(end: Ended | Lost, seen: Glance) -> tuple[str, bool]:
    """Why an attempt ended badly, in words, and whether another one may do better."""
    if isinstance(end, Lost):
        return end.reason, True
    if end.problem:
        return end.problem, True
    if end.status < 0:
        return f"its process was killed by signal {-end.status}", True
    if end.stopped or seen.sentence.startswith(("Stopped by", "Another process of this run was lost")):
        return seen.sentence.rstrip(".") or "it was stopped", True
    return seen.sentence.rstrip(".") or f"it ended with status {end.status}: {seen.last}", False

"""The order of items, what is tried again, and what becomes of the others: on machines that are made up."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from benchmark.common.errors import UserError
from benchmark.fanout.cluster import Lost
from benchmark.fanout.item import Item
from benchmark.fanout.progress import Glance
from benchmark.fanout.schedule import ATTEMPTS, Schedule
from benchmark.fanout.worker import Ended

GOOD = Ended(0)
TRAINED, SCORED = "train@clip-0", "score@clip-0"
ITEMS = [
    Item(SCORED, "python -m benchmark score --system clip --seed 0", frozenset({TRAINED})),
    Item(TRAINED, "python -m benchmark train --system clip --seed 0"),
    Item("train@offclip-0", "python -m benchmark train --system offclip --seed 0"),
]


@dataclass
class Machines:
    """Attempts end at once, in the order of their start, as ``ends`` says; well where it says nothing."""

    ends: dict[str, list[Ended | Lost]] = field(default_factory=dict)
    started: list[tuple[str, int]] = field(default_factory=list)
    stopped: bool = False
    _waiting: deque[str] = field(default_factory=deque)

    def start(self, item: Item, attempt: int) -> None:
        self.started.append((item.name, attempt))
        self._waiting.append(item.name)

    def ended(self, seconds: float) -> Iterator[tuple[str, Ended | Lost]]:
        name = self._waiting.popleft()
        planned = self.ends.get(name, [])
        yield name, Ended(2, stopped=True) if self.stopped else planned.pop(0) if planned else GOOD

    def stop(self) -> None:
        self.stopped = True


@dataclass
class Keeper:
    """DVC, made up."""

    current: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    taken: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)

    def is_current(self, item: Item) -> bool:
        return item.name in self.current

    def begins(self, item: Item) -> None:
        self.begun.append(item.name)

    def take(self, item: Item) -> None:
        if item.name in self.refused:
            raise UserError("data/captions changed while it ran")
        self.taken.append(item.name)


def run(machines: Machines, keeper: Keeper, said: str = "", stop_after: int = 10_000) -> tuple[Schedule, bool]:
    """Every item, to the end or until so many looks have passed."""
    schedule, looks = Schedule.of(ITEMS), iter(range(10_000))
    whole = schedule.run(
        machines,
        keeper,
        lambda _: Glance(sentence=said, last="boom"),
        lambda _: None,
        lambda: next(looks) >= stop_after,
    )
    return schedule, whole


def test_an_item_starts_when_what_it_needs_was_taken_over() -> None:
    machines, keeper = Machines(), Keeper()
    schedule, whole = run(machines, keeper)
    assert whole
    assert [name for name, _ in machines.started] == [TRAINED, "train@offclip-0", SCORED]
    assert keeper.taken == [TRAINED, "train@offclip-0", SCORED] == keeper.begun
    assert set(schedule.states().values()) == {"done"}


def test_what_is_up_to_date_is_not_run_and_what_needs_it_goes_on() -> None:
    machines, keeper = Machines(), Keeper(current=(TRAINED, "train@offclip-0"))
    schedule, _ = run(machines, keeper)
    assert machines.started == [(SCORED, 1)]
    assert schedule.states() == {SCORED: "done", TRAINED: "up to date", "train@offclip-0": "up to date"}


@pytest.mark.parametrize(
    "end",
    [Lost("its node died"), Ended(-9), Ended(1, problem="node-3 does not see /work")],
    ids=["node", "kill", "folder"],
)
def test_what_is_lost_is_tried_again_and_then_goes_on(end: Ended | Lost) -> None:
    machines, keeper = Machines({TRAINED: [end, end]}), Keeper()
    schedule, _ = run(machines, keeper)
    assert [each for each in machines.started if each[0] == TRAINED] == [(TRAINED, 1), (TRAINED, 2), (TRAINED, 3)]
    assert set(schedule.states().values()) == {"done"}


def test_what_is_lost_too_often_fails_and_the_others_finish() -> None:
    machines, keeper = Machines({TRAINED: [Lost("its node died")] * ATTEMPTS}), Keeper()
    schedule, whole = run(machines, keeper)
    assert whole
    assert schedule.states() == {SCORED: "not started", TRAINED: "failed", "train@offclip-0": "done"}
    assert schedule.failed() == {
        SCORED: f"it needs {TRAINED}",
        TRAINED: f"its node died ({ATTEMPTS} attempts); see logs/{TRAINED}.log",
    }
    assert keeper.taken == ["train@offclip-0"]


def test_an_error_of_its_own_is_not_tried_again() -> None:
    machines = Machines({TRAINED: [Ended(2)]})
    schedule, _ = run(machines, Keeper(), said="Training clip-0 stopped at step 3: the loss became nan.")
    assert [each for each in machines.started if each[0] == TRAINED] == [(TRAINED, 1)]
    assert schedule.failed()[TRAINED].startswith("Training clip-0 stopped at step 3: the loss became nan; see logs/")


def test_a_defect_is_named_by_the_last_line_of_its_log() -> None:
    schedule, _ = run(Machines({TRAINED: [Ended(1)]}), Keeper())
    assert schedule.failed()[TRAINED].startswith("it ended with status 1: boom; see")


def test_a_scheduler_that_stops_an_item_has_it_tried_again() -> None:
    machines = Machines({TRAINED: [Ended(2)]})
    schedule, _ = run(machines, Keeper(), said="Stopped by SIGTERM after step 12 (3.0% of the budget)")
    assert schedule.states()[TRAINED] == "done"
    assert (TRAINED, 2) in machines.started


def test_what_dvc_does_not_take_over_has_failed() -> None:
    schedule, _ = run(Machines(), Keeper(refused=(TRAINED,)))
    assert schedule.failed()[TRAINED] == "data/captions changed while it ran"
    assert schedule.states()[SCORED] == "not started"


def test_stopped_in_the_middle_starts_nothing_more_and_waits_for_what_runs() -> None:
    machines, keeper = Machines(), Keeper()
    schedule, whole = run(machines, keeper, stop_after=4)
    assert not whole
    assert machines.stopped
    assert schedule.states()[SCORED] == "waiting"
    assert "stopped" in schedule.states().values()
    assert not schedule.begun()

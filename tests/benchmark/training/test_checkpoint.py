"""How often a checkpoint is written: as often as it is cheap."""

from __future__ import annotations

import itertools

import pytest

from benchmark.training.checkpoint import LEAST_SECONDS, MOST_SECONDS, Interval


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def trained(cost: float, fixed: float | None = None, seconds: float = 36_000, step: float = 1.0) -> list[float]:
    """Moments at which checkpoints of a cost were begun in a training of steps of a second."""
    clock, begun = Clock(), []
    interval = Interval(fixed, clock)
    while clock.now < 1000 + seconds:
        clock.now += step
        if interval.due():
            begun.append(clock.now)
            with interval.writing():
                clock.now += cost
    return begun


@pytest.mark.parametrize("cost", [0.01, 0.6, 3, 10])
def test_at_most_two_per_cent_of_the_time(cost: float) -> None:
    assert len(trained(cost)) * cost <= 0.02 * 36_000


@pytest.mark.parametrize("cost", [0.01, 0.6, 10, 60])
def test_neither_too_often_nor_too_rarely(cost: float) -> None:
    begun = trained(cost)
    between = [later - earlier for earlier, later in itertools.pairwise(begun)]
    assert begun[0] == 1000 + LEAST_SECONDS  # what it costs is known after the first
    assert min(between) >= LEAST_SECONDS
    assert max(between) <= MOST_SECONDS + cost + 1


def test_a_fixed_interval_is_kept() -> None:
    assert trained(5, fixed=10, seconds=60) == [1010, 1025, 1040, 1055]

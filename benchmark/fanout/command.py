"""``python -m benchmark fanout``: what is out of date of decode, train and score, side by side on every machine.

DVC says what there is to do and takes over what was made; Ray finds a place for each item; each item is the command of
dvc.yaml, so what comes out is what `dvc repro` would have made (docs/cluster.md).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.cohort.decoding import stage as decoding
from benchmark.common.errors import UserError
from benchmark.common.progress import say, spoken
from benchmark.fanout import nodes, size
from benchmark.fanout.cluster import Cluster, Lost, joined
from benchmark.fanout.item import Item
from benchmark.fanout.pipeline import Inputs, Pipeline
from benchmark.fanout.progress import Board, Glance, glance, summary, tail
from benchmark.fanout.schedule import WAITS, Schedule
from benchmark.fanout.size import Node, Size
from benchmark.fanout.worker import THREADS, Ended, Job
from benchmark.pipeline import provenance, settings
from benchmark.training.interruption import Interruption

HANDED_ON = (*THREADS, "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME")
"""Variables of this shell that an item sees wherever it runs."""
IMAGES_A_SHARD = 2000
"""At least; a shorter list is decoded before another machine has begun."""
STOPPED_STATUS = 130
"""Exit status as a shell gives it to a program that SIGINT ended."""


@dataclass
class Machines:
    """Attempts on the cluster, by item."""

    cluster: Cluster
    size_of: Callable[[Item], Size]
    token_file: Path
    token: str

    def start(self, item: Item, attempt: int) -> None:
        """Put an attempt into Ray's queue; the first begins a new log."""
        log = Path.cwd() / item.log
        log.parent.mkdir(exist_ok=True)
        if attempt == 1:
            log.unlink(missing_ok=True)
        job = Job(
            item.name,
            item.arguments,
            str(Path.cwd()),
            str(log),
            self.token,
            str(self.token_file),
            attempt,
            {name: os.environ[name] for name in HANDED_ON if name in os.environ},
        )
        self.cluster.start(job, self.size_of(item))

    def ended(self, seconds: float) -> Iterator[tuple[str, Ended | Lost]]:
        """See ``schedule.Machines``."""
        for job, end in self.cluster.ended(seconds):
            yield job.item, end

    def stop(self) -> None:
        """See ``schedule.Machines``."""
        self.cluster.stop()


@dataclass
class Keeper:
    """DVC, for one run of ``fanout``."""

    pipeline: Pipeline
    _inputs: dict[str, Inputs] = field(default_factory=dict)

    def is_current(self, item: Item) -> bool:
        """See ``schedule.Keeper``."""
        return not item.part_of and self.pipeline.is_current(item)

    def begins(self, item: Item) -> None:
        """See ``schedule.Keeper``."""
        if item.part_of:
            return
        self._inputs[item.name] = self.pipeline.inputs(item)

    def take(self, item: Item) -> None:
        """See ``schedule.Keeper``."""
        if item.part_of:
            return
        self.pipeline.hand_over(item, self._inputs[item.name])


def run(
    stages: Sequence[str] = (),
    address: str | None = None,
    gpus_per_run: float | None = None,
    cpus_per_run: float | None = None,
    max_minutes: float | None = None,
) -> int:
    """Run what is out of date; the exit status: 0, 1 where an item failed, 130 where it was stopped before the end.

    Args:
        stages: stages of dvc.yaml, or single items; all whose items can run side by side where it is empty.
        address: of a Ray cluster, or ``auto``; None: this machine alone.
        gpus_per_run: GPUs a run, a fraction to put several on one card; None: one where there are any.
        cpus_per_run: CPUs that a run is given a place by; None: as many threads as the settings give it.
        max_minutes: stop after this long, as on Ctrl-C.

    Raises:
        UserError: nothing was begun, for the reason it says.
    """
    pipeline = Pipeline()
    items = pipeline.choose(stages)
    chosen = settings.load()
    began = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(pipeline.alone())
        cluster = stack.enter_context(joined(address))
        token_file, token = stack.enter_context(nodes.token(Path.cwd()))
        asked = (str(Path.cwd()), str(token_file), provenance.PACKAGES, nodes.CODE)
        nodes.refuse_strangers(nodes.here(Path.cwd(), token_file), cluster.facts(*asked), Path.cwd())
        there = cluster.nodes()

        def size_of(item: Item) -> Size:
            return size.of(item, chosen, there, gpus_per_run, cpus_per_run)

        for item in items:  # what no machine can hold is said before anything begins
            size_of(item)
        machines = Machines(cluster, size_of, token_file, token)
        interruption = stack.enter_context(Interruption(max_minutes))
        done = dict.fromkeys((item.name for item in items), WAITS)
        failed: dict[str, str] = {}
        for wave in pipeline.levels(items):
            try:
                pipeline.repro(pipeline.between(wave, failed))
            except UserError:
                if interruption.reason() is None:
                    raise
            wave = [part for item in wave for part in _in_parts(item, pipeline, there)]
            schedule = Schedule.of(wave)
            for item in wave:
                if not item.part_of and (lost := pipeline.blocked(item, failed)):
                    schedule.block(item.name, lost)
            whole = _run(schedule, machines, Keeper(pipeline), interruption)
            done |= schedule.states()
            failed |= schedule.failed()
            if not whole:
                say(
                    f"{interruption.reason()}: {summary(done.values())}. Checkpoints are kept; `python -m benchmark "
                    "fanout` goes on from them, and so does `dvc repro`."
                )
                return STOPPED_STATUS
    say(f"{summary(done.values())} in {spoken(time.monotonic() - began)}")
    for name, why in failed.items():
        say(f"{name}: {why}.")
    if failed:
        say("Correct what is named and run the same again: what is done is not run again.")
        return 1
    say("Everything was handed to DVC; `dvc repro` goes on from here.")
    return 0


def _in_parts(item: Item, pipeline: Pipeline, there: Sequence[Node]) -> list[Item]:
    """The item, after its shards where a long list of images is decoded and there are several machines."""
    machines = sum(node.cpus >= 1 for node in there)
    if item.command != "decode" or machines < 2 or pipeline.is_current(item):
        return [item]
    count = min(machines, decoding.waiting(item.arguments[-1]) // IMAGES_A_SHARD)
    return item.shards(count) if count > 1 else [item]


def _run(schedule: Schedule, machines: Machines, keeper: Keeper, interruption: Interruption) -> bool:
    """One wave; False where it was stopped."""
    names = {node.key: node.name for node in machines.cluster.nodes()}

    def look(item: Item) -> Glance:
        return glance(tail(item.log))

    def show(now: Schedule) -> None:
        begun = {one.item.name: (one.item.log, one.attempt) for one in now.begun()}
        board.show(now.states(), begun)

    wave = [one.item for one in schedule.items.values() if not one.item.part_of]
    with (
        keeper.pipeline.holding(wave),
        Board(lambda key: names.get(key, key[:8])) as board,
    ):
        return schedule.run(machines, keeper, look, show, lambda: interruption.reason() is not None)

"""What one item takes of a machine: GPUs, CPUs, and how many processes of torchrun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.common.errors import UserError
from benchmark.fanout.item import Item
from benchmark.pipeline.settings import Settings


@dataclass(frozen=True)
class Node:
    """A machine of the cluster."""

    key: str
    """Ray's id."""
    name: str
    cpus: float
    gpus: float


@dataclass(frozen=True)
class Size:
    """What an item takes: of each of ``nodes`` machines so many CPUs and GPUs."""

    cpus: float
    gpus: float = 0.0
    nodes: int = 1

    @property
    def processes(self) -> int:
        """Processes a machine: one a GPU where a run has several, else one."""
        return max(int(self.gpus), 1)

    @property
    def is_distributed(self) -> bool:
        """Whether torchrun has to start it."""
        return self.nodes * self.processes > 1


def wish(item: Item, chosen: Settings) -> tuple[float, bool]:
    """CPUs that an item keeps busy, and whether it computes on a GPU where there is one."""
    if item.command == "decode":
        return float(chosen.cohort.workers), False
    part = chosen.scoring if item.command == "score" else chosen.training
    return float(part.threads), part.device != "cpu"


def of(item: Item, chosen: Settings, nodes: Sequence[Node], gpus: float | None, cpus: float | None) -> Size:
    """The size of an item on this cluster.

    Args:
        item: what shall run.
        chosen: settings.
        nodes: the cluster.
        gpus: asked for a run; None: one where the cluster has any. Training alone takes more than one.
        cpus: asked for a run; None: as many as the settings keep busy, or the largest node has.

    Raises:
        UserError: no node, or no group of nodes, can hold it.
    """
    threads, computes = wish(item, chosen)
    largest = max((node.cpus for node in nodes), default=0.0)
    if cpus is not None and cpus > largest:
        raise UserError(f"--cpus-per-run asks for {cpus:g} CPUs, but the largest node has {largest:g}; ask for less.")
    taken = min(threads, largest) if cpus is None or item.command == "decode" else cpus
    wanted = (1.0 if any(node.gpus >= 1 for node in nodes) else 0.0) if gpus is None else gpus
    if not computes:
        return Size(taken)
    if item.command != "train":
        wanted = min(wanted, 1.0)
    most = max((node.gpus for node in nodes), default=0.0)
    if wanted <= most:
        return Size(taken, wanted)
    for count in range(2, len(nodes) + 1):
        if wanted % count == 0 and sum(node.gpus >= wanted / count for node in nodes) >= count:
            return Size(taken, wanted / count, count)
    total = sum(node.gpus for node in nodes)
    raise UserError(
        f"--gpus-per-run asks for {wanted:g} GPUs, but no equal parts of them are free on the {len(nodes)} nodes of "
        f"this cluster ({total:g} GPUs, at most {most:g} on one); ask for fewer, or add nodes."
    )

"""Several processes, one run: who am I, and the four exchanges that training needs.

Started by ``torchrun`` (which sets RANK, WORLD_SIZE, LOCAL_RANK); without it there is one process and
every exchange is the identity. The batch size of params.yaml is the batch over all processes, so the
same parameters give the same run on any number of them.

Gradients are summed once, after the whole backward pass, as one flat buffer a dtype, rather than by
``DistributedDataParallel``'s hooks: a chunked backward pass (step.py) visits a parameter many times,
and the hooks would exchange it at the first visit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors

from benchmark.common.errors import UserError

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others in one exchange, e.g. while the first writes a checkpoint."""
PLACE = re.compile(r"^\[[^]]*\] ")
"""Where in gloo's sources an error arose."""


@contextmanager
def _exchange() -> Iterator[None]:
    """Turn the loss of another process into a sentence; one that was killed is noticed at once."""
    try:
        yield
    except RuntimeError as error:  # gloo has no exception of its own
        reason = PLACE.sub("", str(error).strip()).partition(". ")[0].partition("\n")[0]
        raise UserError(
            f"Another process of this run was lost ({reason}). The last good checkpoint is kept; see what ended "
            "that process, then run the same command again to resume."
        ) from error


@dataclass(frozen=True)
class World:
    """This process among its peers."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """The process that writes files and talks."""
        return self.rank == 0

    def own(self, total: int) -> slice:
        """The rows of a batch of ``total`` that are this process's."""
        if total % self.size:
            raise UserError(f"training.batch_size {total} is not divisible by the {self.size} processes of this run.")
        share = total // self.size
        return slice(self.rank * share, (self.rank + 1) * share)

    def gather(self, tensor: Tensor) -> Tensor:
        """Rows of all processes in rank order, without gradient: [b, ...] -> [size * b, ...]."""
        if self.size == 1:
            return tensor
        with torch.no_grad():
            whole = tensor.new_empty((self.size * tensor.shape[0], *tensor.shape[1:]))
            with _exchange():
                dist.all_gather(list(whole.chunk(self.size)), tensor.detach().contiguous())
        return whole

    def sum(self, tensors: Iterable[Tensor]) -> None:
        """Sum each tensor over the processes, in place; one exchange a dtype."""
        if self.size == 1:
            return
        by_dtype: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            by_dtype.setdefault(tensor.dtype, []).append(tensor)
        for group in by_dtype.values():
            flat = _flatten_dense_tensors(group)
            with _exchange():
                dist.all_reduce(flat)
            for tensor, summed in zip(group, _unflatten_dense_tensors(flat, group), strict=True):
                tensor.copy_(summed)

    def total(self, value: float) -> float:
        """Sum of a number over the processes."""
        return self._reduce(value, dist.ReduceOp.SUM)

    def slowest(self, seconds: float) -> float:
        """Largest of a number over the processes."""
        return self._reduce(seconds, dist.ReduceOp.MAX)

    def _reduce(self, value: float, operation: dist.ReduceOp.RedOpType) -> float:
        if self.size == 1:
            return value
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        tensor = torch.tensor(value, dtype=torch.float64, device=device)
        with _exchange():
            dist.all_reduce(tensor, operation)
            return float(tensor)


ALONE = World()


def start(device: torch.device) -> World:
    """Join the processes of ``torchrun``; a single process where it did not start this one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World()
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    return World(dist.get_rank(), dist.get_world_size())


def stop() -> None:
    """Leave the group, if there is one."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()

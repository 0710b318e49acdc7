"""One number for every system: floating-point operations, device seconds, or pairs seen.

Progress = spent / amount drives the schedules and the end. What a step costs is known before it is
taken. The model's FLOPs are counted once a step shape with torch's counter, as one process would compute the step at
once: chunks and further processes compute more, which is recorded beside it and not billed. Seconds are measured once a
system on this hardware and then frozen in a file, so that a rerun takes the same number of steps.
Rules after MLCommons' algorithmic-efficiency: the device is synchronised before the clock is read,
evaluation and checkpoints are not timed, the slowest process counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from baselines.base import Baseline
from benchmark.common import files
from benchmark.compute.distributed import World
from benchmark.training.step import Batch, StepOptions, contrastive_backward

if TYPE_CHECKING:
    from torch._subclasses.fake_tensor import FakeTensorMode

WARMUP_STEPS, TIMED_STEPS = 3, 12
"""Steps taken, on a copy of the model, to learn what a step costs in seconds."""


def _attention_forward(query: Any, key: Any, value: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward(_grad: Any, query: Any, key: Any, value: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    """Two products forward, their four gradients backward, whether or not the kernel recomputes the first."""
    return 2 * sdpa_flop_count(query, key, value)


def _attention_formulas() -> dict[Any, Callable[..., int]]:
    """One formula for every fused attention kernel: torch leaves the CPU's out and counts recomputation in others."""
    formulas: dict[Any, Callable[..., int]] = {}
    for kind in ("flash_attention_for_cpu", "flash_attention", "efficient_attention", "cudnn_attention"):
        for suffix, formula in (("", _attention_forward), ("_backward", _attention_backward)):
            name = f"_scaled_dot_product_{kind}{suffix}"
            if hasattr(torch.ops.aten, name):
                formulas[getattr(torch.ops.aten, name)] = formula
    return formulas


class _NoModules:
    """Stands in for the counter's per-module bookkeeping, whose hooks fail in chunks that run without a graph."""

    parents = frozenset({"Global"})

    def __enter__(self) -> _NoModules:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to undo."""


def count_flops(step: Callable[[], object]) -> float:
    """Floating-point operations of everything ``step`` executes (products only; a multiply-add is two)."""
    counter = FlopCounterMode(display=False, custom_mapping=_attention_formulas())
    counter.mod_tracker = _NoModules()  # type: ignore[assignment]
    with counter:
        step()
    return float(counter.get_total_flops())


@contextmanager
def hollow(model: torch.nn.Module) -> Iterator[FakeTensorMode]:
    """Tensors without data pass through the model meanwhile: the largest batch takes neither memory nor time."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        yield mode
    model.zero_grad()  # gradients without data


def count_model_flops(model: Baseline, batch: Batch, precision: torch.dtype) -> float:
    """Floating-point operations of a step on a whole batch as one process computes it at once.

    The budget counts the model, not how it was computed: recomputed chunks and other processes change nothing. Any sum
    stands in for the loss, since only products are counted.
    """
    options = StepOptions(precision=precision)
    with hollow(model) as mode:
        whole = Batch(
            mode.from_tensor(batch.pixels), batch.tokens.each(mode.from_tensor), mode.from_tensor(batch.is_normal)
        )
        return count_flops(lambda: contrastive_backward(model, lambda matrix, _: matrix.sum(), whole, options))


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def time_steps(step: Callable[[], object], device: torch.device, world: World) -> float:
    """Median seconds of a step, on the slowest process."""
    seconds = []
    for _ in range(WARMUP_STEPS + TIMED_STEPS):
        synchronise(device)
        start = time.perf_counter()
        step()
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return world.slowest(statistics.median(seconds[WARMUP_STEPS:]))


@dataclass(frozen=True)
class Cost:
    """What one step of one batch size costs, over all processes."""

    samples: float
    flops: float
    """Of the model: the step computed at once by one process."""
    device_seconds: float = 0.0
    """Frozen; 0 unless the budget is in seconds."""
    computed_flops: float = 0.0
    """Of the hardware: with what chunks and other processes compute again."""

    def of(self, unit: str) -> float:
        """The cost in a budget's unit."""
        return float(getattr(self, unit))


@dataclass
class Account:
    """What has been spent."""

    unit: str
    amount: float
    steps: int = 0
    samples: float = 0.0
    flops: float = 0.0
    computed_flops: float = 0.0
    device_seconds: float = 0.0
    """Frozen seconds where the budget is in seconds, else those of the clock."""
    measured_seconds: float = 0.0

    @property
    def spent(self) -> float:
        """Spent so far, in the budget's unit."""
        return float(getattr(self, self.unit))

    @property
    def progress(self) -> float:
        """Spent part of the budget, in [0, 1]."""
        return min(self.spent / self.amount, 1.0)

    def affords(self, cost: Cost) -> bool:
        """Whether a step still fits; no run exceeds the budget, and none falls short by a whole step."""
        return self.spent + cost.of(self.unit) <= self.amount * (1 + 1e-12)

    def pay(self, cost: Cost, seconds: float) -> None:
        """Book one step that took ``seconds`` by the clock."""
        self.steps += 1
        self.samples += cost.samples
        self.flops += cost.flops
        self.computed_flops += cost.computed_flops
        self.device_seconds += cost.device_seconds or seconds
        self.measured_seconds += seconds


def frozen_seconds(path: Path, key: str, measure: Callable[[], dict[str, float]]) -> dict[str, float]:
    """Seconds a step by batch size, measured the first time ``key`` (system's plan and hardware) is asked for.

    The file outlives the runs: a rerun of the same plan on the same hardware takes the same steps. Delete
    it to calibrate anew.
    """
    known = files.read_json(path) if path.exists() else {}
    if key not in known:
        known[key] = measure()
        files.write_json(path, known)
    return known[key]

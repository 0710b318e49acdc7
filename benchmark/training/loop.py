"""The loop that every system shares: batches, steps, schedule, budget, snapshots, checkpoints.

A little over 300 lines on purpose: what a step changes (Learner) and what a run is (Run) are read together.
It sees a baseline through its contract alone and chooses no weights: those of the last step are the result.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmark.common.errors import Stopped, UserError
from benchmark.compute import determinism, schedule
from benchmark.compute.distributed import ALONE, World
from benchmark.compute.watching import Watch
from benchmark.pipeline.settings import BudgetSettings, TrainingSettings
from benchmark.training import budget, ledger
from benchmark.training.checkpoint import Interval, StateFolder, room_on_disk
from benchmark.training.data import PairData, Position
from benchmark.training.display import Display
from benchmark.training.interruption import Interruption
from benchmark.training.step import Batch, StepOptions, contrastive_backward

VALIDATIONS = 10
"""Times a run is validated, evenly over its budget."""
VALIDATION_PAIRS = 256
"""Pairs of a validation, in batches of ``VALIDATION_BATCH``; the same ones each time."""
VALIDATION_BATCH = 64
COMPILED = ("encode_images", "encode_texts", "pair_logits")
"""What `training.compile` compiles."""
Save = Callable[[nn.Module, Path], None]
"""Writes a model's weights, e.g. baselines.base.save."""


class NotFinite(UserError):
    """A loss or a gradient is infinite or NaN."""


def optimizer_for(parameters: list[nn.Parameter], training: TrainingSettings) -> torch.optim.Optimizer:
    """Adam or AdamW over the parameters that learn; decay spares scales and biases (fewer than two dimensions)."""
    learning = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in learning if p.ndim >= 2], "weight_decay": training.weight_decay},
        {"params": [p for p in learning if p.ndim < 2], "weight_decay": 0.0},
    ]
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[training.optimizer]
    return kind([g for g in groups if g["params"]], lr=training.learning_rate, betas=training.betas, fused=True)


@dataclass
class Learner:
    """What a step changes: the model, what the objective learns, and the optimiser's moments."""

    model: Any
    """A baseline (baselines/base.py)."""
    objective: nn.Module
    training: TrainingSettings
    device: torch.device
    world: World

    def __post_init__(self) -> None:
        self.parameters = [*self.model.parameters(), *self.objective.parameters()]
        self.optimizer = optimizer_for(self.parameters, self.training)
        half = self.training.precision == "float16"
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=half)
        if self.training.compile:  # of this learner's own model: a compiled method stays bound where it was compiled
            model = self.uncompiled()
            for compiled, name in [(torch.compile(getattr(model, name)), name) for name in COMPILED]:
                setattr(model, name, compiled)

    def clone(self) -> Learner:
        """An independent learner with the same weights, to try steps on."""
        model, objective = copy.deepcopy((self.model, self.objective))
        return Learner(model, objective, self.training, self.device, self.world)

    def uncompiled(self) -> Any:
        """The model with its methods as they are written."""
        for name in COMPILED:
            vars(self.model).pop(name, None)
        return self.model

    def backward(self, batch: Batch, seed: tuple[int, ...]) -> torch.Tensor:
        """Gradient of a batch; returns its loss."""
        options = StepOptions(
            self.training.chunk_size,
            getattr(torch, self.training.precision),
            self.scaler.get_scale() if self.scaler.is_enabled() else 1.0,
        )
        return contrastive_backward(self.model, self.objective, batch, options, self.world, seed)

    def step(self, batch: Batch, learning_rate: float, seed: tuple[int, ...]) -> float:
        """Backward, clip, update; returns the loss.

        Raises:
            NotFinite: the loss or the gradient is not finite; nothing was updated.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad(set_to_none=True)
        loss = float(self.backward(batch, seed))
        if not math.isfinite(loss):
            raise NotFinite(f"the loss became {loss}")
        self.scaler.unscale_(self.optimizer)
        if self.training.clip_norm is not None:
            norm = nn.utils.clip_grad_norm_(self.parameters, self.training.clip_norm, foreach=True)
            if not self.scaler.is_enabled() and not bool(torch.isfinite(norm)):
                raise NotFinite("the gradient became infinite or NaN")
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.model.constrain()
        return loss

    def state(self) -> dict[str, Any]:
        """Everything a checkpoint keeps of this."""
        parts = ("model", "objective", "optimizer", "scaler")
        return {part: getattr(self, part).state_dict() for part in parts}

    def restore(self, state: dict[str, Any]) -> None:
        """Put back what ``state`` gave."""
        for part in ("model", "objective", "optimizer", "scaler"):
            getattr(self, part).load_state_dict(state[part])


@dataclass
class Run:
    """One training run, from wherever its state folder says it is to the end of its budget."""

    learner: Learner
    train_data: PairData
    validation_data: PairData
    limits: BudgetSettings
    seed: int
    folder: StateFolder
    save: Save
    calibration: tuple[Path, str]
    """File of the frozen seconds and the key in it."""

    def __post_init__(self) -> None:
        self.training, self.world = self.learner.training, self.learner.world
        self.account = budget.Account(self.limits.unit, self.limits.amount)
        self.history = ledger.History()
        self.position = Position()
        self.resumed = 0
        largest, studies = max(schedule.batch_sizes(self.training)), len(self.train_data)
        if largest > studies:
            raise UserError(f"`training.batch_size` is {largest}, but only {studies} studies train.")

    def to_the_end(self, interruption: Interruption, watch: Watch) -> None:
        """Take steps until the budget is spent; snapshots and checkpoints on the way.

        Raises:
            UserError: the loss is not finite, the disk is full, another process was lost, or (Stopped) the run
                was asked to stop; the checkpoint says where to resume.
        """
        if state := self.folder.load():
            self._restore(state)
        costs = self._costs()
        interval = Interval(self.training.checkpoint_seconds)
        with Display(f"{self.folder.system}-{self.seed}", self.account, not self.world.is_main) as display:
            while True:
                size = schedule.batch_size(self.training, self.account.progress)
                if not self.account.affords(costs[size]):
                    break
                display.update(self._step(size, costs[size]))
                watch(self.history.last())
                reason = interruption.reason() if self.world.size == 1 else self._agree(interruption)
                if reason or interval.due():
                    with interval.writing():
                        self._checkpoint()
                if reason:
                    raise Stopped(
                        f"{reason} after step {self.account.steps} ({self.account.progress:.1%} of the budget); "
                        "run the same command again to resume."
                    )
        if not self.account.steps:
            raise UserError(f"`budget.amount` {self.limits.amount:g} {self.limits.unit} does not cover a single step.")

    def _agree(self, interruption: Interruption) -> str | None:
        """Stop on all processes when one is asked to."""
        reason = interruption.reason()
        return (reason or "another process was stopped") if self.world.total(float(reason is not None)) else None

    def _step(self, size: int, cost: budget.Cost) -> float:
        number, before = self.account.steps, self.account.progress
        rate = schedule.learning_rate(self.training, before)
        start = time.perf_counter()
        at, after = self.position.advance(size, len(self.train_data))
        batch = self.train_data.batch(at, size, self.world, self.learner.device, self.training.augment, number)
        self.learner.model.train()
        try:
            loss = self.learner.step(batch, rate, (self.seed, determinism.DROPOUT, number))
        except NotFinite as error:
            raise UserError(
                f"Training {self.folder.system}-{self.seed} stopped at step {number + 1}: {error} at learning rate "
                f"{rate:g}. The last good checkpoint is kept in {self.folder.root}; lower `training.learning_rate` "
                "or `clip_norm`, or use float32."
            ) from None
        budget.synchronise(self.learner.device)
        self.account.pay(cost, time.perf_counter() - start)
        self.position = after
        self.history.append(
            step=self.account.steps,
            progress=self.account.progress,
            loss=loss,
            learning_rate=rate,
            validation_loss=self._validation_due(before, cost),
            samples=self.account.samples,
            flops=self.account.flops,
            device_seconds=self.account.device_seconds,
        )
        for fraction in self.training.snapshots:
            if before < fraction <= self.account.progress:
                self._write(f"snapshot-{round(fraction * 100)}.safetensors")
        return loss

    def _validation_due(self, before: float, cost: budget.Cost) -> float:
        """The validation loss when a tenth of the budget was passed, or the run ends; else NaN."""
        passed = math.floor(self.account.progress * VALIDATIONS) > math.floor(before * VALIDATIONS)
        return self.validation_loss() if passed or not self.account.affords(cost) else math.nan

    def validation_loss(self) -> float:
        """InfoNCE on fixed pairs of the validation split, not augmented; mean over batches. Costs no budget."""
        from offclip.losses import info_nce

        model: Any = self.learner.model
        device = self.learner.device
        size = min(VALIDATION_BATCH, len(self.validation_data))
        model.eval()
        losses = []
        with (
            torch.no_grad(),
            torch.autocast(
                device.type, getattr(torch, self.training.precision), enabled=self.training.precision != "float32"
            ),
        ):
            for offset in range(0, min(VALIDATION_PAIRS, len(self.validation_data)) - size + 1, size):
                batch = self.validation_data.batch(Position(0, offset), size, ALONE, device, "none", 0)
                pairs = model.pair_logits(model.encode_images(batch.pixels), model.encode_texts(batch.tokens))
                losses.append(sum(float(info_nce(logits)) for logits in pairs) / len(pairs))
        return sum(losses) / len(losses)

    def _costs(self) -> dict[int, budget.Cost]:
        """What a step of each batch size costs; measured on a copy, so the run's own weights are untouched."""
        learner = self.learner.clone()
        learner.model.train()
        sizes = schedule.batch_sizes(self.training)

        def backward(size: int) -> object:
            return learner.backward(self._batch_of(size, self.world, learner.device), (self.seed, 0))

        precision = getattr(torch, self.training.precision)
        computed = {size: self.world.total(budget.count_flops(lambda: backward(size))) for size in sizes}  # noqa: B023
        flops = computed
        if self.world.size > 1 or self.training.chunk_size is not None:
            whole_batch = (self._batch_of(size, ALONE, learner.device) for size in sizes)
            model = self.learner.clone().uncompiled()
            flops = {b.is_normal.shape[0]: budget.count_model_flops(model, b, precision) for b in whole_batch}
        seconds = {str(size): 0.0 for size in sizes}
        if self.limits.unit == "device_seconds":

            def whole(size: int) -> object:
                return learner.step(self._batch_of(size, self.world, learner.device), 0.0, (self.seed, 0))

            def measure() -> dict[str, float]:
                return {str(s): budget.time_steps(lambda: whole(s), learner.device, self.world) for s in sizes}  # noqa: B023

            path, key = self.calibration
            seconds = budget.frozen_seconds(path, key, measure)
        return {size: budget.Cost(size, flops[size], seconds[str(size)], computed[size]) for size in sizes}

    def _batch_of(self, size: int, world: World, device: torch.device) -> Batch:
        """The first batch of a size."""
        return self.train_data.batch(Position(), size, world, device, self.training.augment, 0)

    def _write(self, name: str) -> None:
        if self.world.is_main:
            self.folder.outputs.mkdir(parents=True, exist_ok=True)
            with room_on_disk(self.folder.outputs / name):
                self.save(self.learner.model, self.folder.outputs / name)

    def _checkpoint(self) -> None:
        if self.world.is_main:
            progress = {"account": asdict(self.account), "position": asdict(self.position), "resumed": self.resumed}
            self.folder.save({**self.learner.state(), **progress, "history": vars(self.history)})

    def _restore(self, state: dict[str, Any]) -> None:
        self.learner.restore(state)
        self.account = budget.Account(**state["account"])
        self.position = Position(**state["position"])
        self.history = ledger.History(**state["history"])
        self.resumed = state["resumed"] + 1

    def finish(self) -> dict[str, Any]:
        """Write the weights and the curve; return what the ledger says of the run."""
        self._write("model.safetensors")
        if self.world.is_main:
            self.history.write(self.folder.outputs / "history.parquet")
        account = self.account
        return {
            "budget": self.limits.model_dump(),
            "spent": {unit: getattr(account, unit) for unit in ("flops", "device_seconds", "samples")},
            "computed_flops": account.computed_flops,
            "measured_seconds": self.world.slowest(account.measured_seconds),
            "steps": account.steps,
            "parameters": sum(p.numel() for p in self.learner.model.parameters()),
            "resumed": self.resumed,
        }

"""``python -m benchmark train --system X --seed N``: one run, from its plan to ``runs/<system>-<seed>/``.

The same command under ``torchrun`` uses several processes (docs/cluster.md). Interrupted at any moment
and started again, it resumes from its last checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from baselines import base
from benchmark.artifacts import captions, reading
from benchmark.artifacts import cohort as cohorts
from benchmark.artifacts.run import leave_out
from benchmark.artifacts.stages import again
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.compute import determinism, distributed
from benchmark.compute import device as computing
from benchmark.compute.watching import Subject, Watcher, unwatched
from benchmark.pipeline import layout, pretrained, settings
from benchmark.pipeline.settings import HALF, BudgetSettings, TrainingSettings
from benchmark.training import data, ledger
from benchmark.training.captions import CaptionSampler, Mode
from benchmark.training.checkpoint import StateFolder, room_on_disk
from benchmark.training.interruption import Interruption
from benchmark.training.loop import Learner, Run
from offclip import objective

CALIBRATION = Path("runs/.calibration")


@dataclass(frozen=True)
class Plan:
    """``plan/<system>.json``, typed (docs/files.md)."""

    values: dict[str, Any]

    @classmethod
    def read(cls, system: str) -> Plan:
        """The plan that the stage of that name wrote."""
        return cls(reading.read_json(layout.plan(system)))

    @property
    def training(self) -> TrainingSettings:
        """The loop's settings."""
        return TrainingSettings.model_validate(self.values["training"])

    @property
    def budget(self) -> BudgetSettings:
        """Unit and amount."""
        return BudgetSettings.model_validate(self.values["budget"])

    def encoders(self, seed: int) -> dict[str, dict[str, Any]]:
        """The towers' options, with the weights that ``seed`` starts from."""
        return pretrained.of_seed(self.values["encoders"], seed)

    @property
    def hash(self) -> str:
        """Hash of the whole plan."""
        return files.sha256_json(self.values)


def build_model(plan: Plan, seed: int) -> base.Baseline:
    """The plan's baseline with the seed's initial weights."""
    vocabulary = captions.vocabulary()
    options = dict(plan.values["model_options"])
    if plan.values["checkpoint"]:
        options["checkpoint"] = plan.values["checkpoint"]
    torch.manual_seed(determinism.stream(seed, determinism.INITIAL))
    try:
        return base.load(plan.values["model"], plan.encoders(seed), options, vocabulary)
    except ValueError as error:
        raise UserError(f"System '{plan.values['system']}': {error}") from None


def build_run(plan: Plan, training: TrainingSettings, seed: int, device: torch.device, world: distributed.World) -> Run:
    """Everything of one run, before its first step; ``training`` is the plan's, settled for the device."""
    cohort = cohorts.read(layout.TRAINING_DATASET)
    model = build_model(plan, seed).to(device)
    try:
        learnt = objective.build(plan.values["objective"], plan.values["objective_options"]).to(device)
    except ValueError as error:
        raise UserError(f"System '{plan.values['system']}': {error}") from None
    images, said = data.in_memory(cohort.images), captions.read()

    def split(name: str, mode: Mode, prompted_share: float, seed: int) -> data.PairData:
        studies = data.Studies.of(cohort.index, name)
        sampler = CaptionSampler(*said, studies.ids, mode, prompted_share, seed)
        return data.PairData(images, studies, sampler, model.tokenize, seed)

    starts = [Path(str(options.get("init"))) for options in plan.encoders(seed).values()]
    identity = {
        "plan": plan.hash,
        "seed": seed,
        "data": data.fingerprint(cohort),
        "start": [files.sha256_file(start) for start in starts if start.is_file()],
    }
    return Run(
        Learner(model, learnt, training, device, world),
        train_data=split("train", plan.values["captions"], plan.values["prompted_share"], seed),
        # The validation pairs are the same for every system and seed, so that their curves can be compared.
        validation_data=split("validate", "raw", HALF, plan.values["captions_seed"]),
        limits=plan.budget,
        seed=seed,
        folder=StateFolder(plan.values["system"], seed, files.sha256_json(identity)),
        save=base.save,  # type: ignore[arg-type]
        calibration=(
            CALIBRATION / f"{plan.values['system']}.json",
            f"{plan.hash[:16]} on {world.size} x {ledger.hardware(device)}, {training.threads} threads",
        ),
    )


def run(system: str, seed: int, max_minutes: float | None = None, watcher: Watcher = unwatched) -> None:
    """Train one system from one seed; leaves weights, snapshots, history and ledger (docs/files.md).

    Args:
        system: a system of the plan.
        seed: of the weights, the shuffle, the captions and the augmentation.
        max_minutes: stop with a checkpoint after this long.
        watcher: shows the curves while the model trains.

    Raises:
        UserError: something to fix, or the run was stopped and can be resumed.
    """
    plan = Plan.read(system)
    if absent := plan.values.get("absent"):
        leave_out(layout.run(system, seed), absent)
        return
    start = _start(plan, seed)
    device, training = computing.setup(plan.training)
    world = distributed.start(device)
    # torchrun sends SIGTERM to the others when it loses a process: what happened is said first.
    with Interruption(max_minutes) as interruption:
        try:
            if plan.values["checkpoint"]:
                _take_released(plan, start, training, seed, device)
                return
            current = build_run(plan, training, seed, device, world)
            with watcher(_subject(plan, training, current.folder), wanted=world.is_main) as watch:
                current.to_the_end(interruption, watch)
                account = current.finish()
                if world.is_main:
                    _write_ledger(current.folder, plan, start, training, seed, device, world, account)
                    current.folder.finish(compact=training.snapshot_weights == "compact")
        finally:
            distributed.stop()


def _subject(plan: Plan, training: TrainingSettings, folder: StateFolder) -> Subject:
    """Whose the live curves are: what may be a path (checkpoints, options of a model) is left out."""
    params = {key: plan.values[key] for key in ("model", "objective", "captions")}
    params |= {f"budget.{key}": value for key, value in plan.budget.model_dump().items()}
    params |= {f"training.{key}": value for key, value in training.model_dump().items()}
    return Subject(folder.system, folder.seed, folder.identity, params)


def _write_ledger(
    folder: StateFolder,
    plan: Plan,
    start: dict[str, Any],
    training: TrainingSettings,
    seed: int,
    device: torch.device,
    world: distributed.World,
    account: dict[str, Any],
) -> None:
    content = {
        "system": plan.values["system"],
        "seed": seed,
        **account,
        "peak_memory_bytes": ledger.peak_memory_bytes(device),
        "hardware": ledger.hardware(device),
        "versions": ledger.versions(),
        "precision": training.precision,
        "threads": training.threads,
        "world_size": world.size,
        "start": start,
        "plan_hash": plan.hash,
        "weights_hash": files.sha256_file(folder.outputs / "model.safetensors"),
    }
    with room_on_disk(folder.outputs / "ledger.json"):
        files.write_json(folder.outputs / "ledger.json", content)


def _start(plan: Plan, seed: int) -> dict[str, Any]:
    """Where the image tower starts, and what that cost before the budget (all systems of that seed share it).

    Raises:
        UserError: the start's own account is missing, damaged or of a version that did not count.
    """
    init = plan.values["encoders"].get("image", {}).get("init")
    if plan.values["checkpoint"] or not init:
        return {"kind": "released" if plan.values["checkpoint"] else "scratch", "flops": 0.0}
    if not pretrained.is_made_here(init):
        return {"kind": "given", "flops": None}
    account = layout.pretrained(seed) / pretrained.ACCOUNT
    flops = reading.read_json(account).get("flops")
    if flops is None:
        raise UserError(f"{account} does not say what the start cost; delete it and run {again(account)}.")
    return {"kind": "pretrained", "flops": flops}


def _take_released(
    plan: Plan, start: dict[str, Any], training: TrainingSettings, seed: int, device: torch.device
) -> None:
    """A released checkpoint is not trained: its weights are the run, and its account is empty."""
    folder = StateFolder(plan.values["system"], seed, plan.hash)
    folder.outputs.mkdir(parents=True, exist_ok=True)
    model = build_model(plan, seed)
    try:
        model.require_size(settings.load().cohort.size)
    except ValueError as error:
        raise UserError(f"System '{plan.values['system']}': {error}") from None
    base.save(model, folder.outputs / "model.safetensors")
    ledger.History().write(folder.outputs / "history.parquet")
    account = {
        "budget": plan.values["budget"],
        "spent": {"flops": 0.0, "device_seconds": 0.0, "samples": 0.0},
        "computed_flops": 0.0,
        "measured_seconds": 0.0,
        "steps": 0,
        "parameters": sum(p.numel() for p in model.parameters()),
        "resumed": 0,
    }
    _write_ledger(folder, plan, start, training, seed, device, distributed.ALONE, account)
    folder.finish()

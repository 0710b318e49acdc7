"""A run leaves what docs/files.md says, is the same bit for bit when repeated, and matches the others' budget.

Over 300 lines on purpose: all of it looks at runs that were trained once.
"""

from __future__ import annotations

import functools
import itertools
import math
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file as load_numpy
from safetensors.torch import load_file

from baselines import base
from benchmark.artifacts import snapshots
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout
from benchmark.training import budget, checkpoint, loop, train
from tests.benchmark.training import workplace

OUTPUTS = {"model.safetensors", "snapshot-25.safetensors", "snapshot-50.safetensors", "history.parquet", "ledger.json"}
STATE = Path("runs/.state")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workplace as the working directory."""
    workplace.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def digest(system: str, seed: int, root: Path = Path()) -> dict[str, str]:
    """Hash of each weights file of a run."""
    return {
        path.name: files.sha256_file(path) for path in sorted((root / layout.run(system, seed)).glob("*.safetensors"))
    }


def test_a_run_leaves_weights_snapshots_history_and_ledger(folder: Path) -> None:
    train.run("offclip", 0)

    run = layout.run("offclip", 0)
    assert {path.name for path in run.iterdir()} == OUTPUTS
    assert not STATE.exists()
    ledger, history = files.read_json(run / "ledger.json"), pd.read_parquet(run / "history.parquet")
    assert ledger["steps"] == 30 == len(history)
    assert ledger["spent"]["samples"] == 480
    assert ledger["spent"]["flops"] == history["flops"].iloc[-1] > 0
    assert ledger["plan_hash"] == files.sha256_json(files.read_json(layout.plan("offclip")))
    assert ledger["weights_hash"] == files.sha256_file(run / "model.safetensors")
    assert ledger["peak_memory_bytes"] > 100e6
    assert history["progress"].is_monotonic_increasing
    assert history["progress"].iloc[-1] == 1.0
    assert history["validation_loss"].notna().sum() == 10
    assert not math.isnan(history["validation_loss"].iloc[-1])
    model = base.restore(run / "model.safetensors")
    assert ledger["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    quarter, half, last = (load_file(run / f"{name}.safetensors") for name in ("snapshot-25", "snapshot-50", "model"))
    weight = "image.stem.weight" if "image.stem.weight" in last else next(iter(last))
    assert not torch.equal(quarter[weight], half[weight])
    assert not torch.equal(half[weight], last[weight])


def test_compact_snapshots_are_the_exact_ones_rounded_and_the_result_is_the_same(
    folder: Path, undisturbed: Path
) -> None:
    workplace.write_params(folder, workplace.params(training={"snapshot_weights": "compact"}))
    train.run("clip", 0)
    run, exact = layout.run("clip", 0), undisturbed / layout.run("clip", 0)
    assert {path.name for path in run.glob("snapshot-*")} == {"snapshot-25.parquet", "snapshot-50.parquet"}
    result, same = (load_numpy(place / "model.safetensors") for place in (run, exact))
    assert all(np.array_equal(result[name], same[name]) for name in same)
    for part in (25, 50):
        read = snapshots.read(run / f"snapshot-{part}.parquet", result)
        for name, value in load_numpy(exact / f"snapshot-{part}.safetensors").items():
            far = np.abs(value - result[name]).max()
            assert np.abs(read[name] - value).max() <= max(snapshots.STEP / 2 * far, 1e-6), name


def test_the_losses_are_those_of_an_independent_loop(folder: Path) -> None:
    """Plain autograd over one graph and unfused AdamW, on the same batches."""
    system, seed, device = "offclip", 3, torch.device("cpu")
    train.run(system, seed)
    plan = train.Plan.read(system)
    run = train.build_run(plan, plan.training, seed, device, train.distributed.ALONE)
    model, objective, training = run.learner.model, run.learner.objective, plan.training
    parameters = [*model.parameters(), *objective.parameters()]
    decayed = [p for p in parameters if p.ndim >= 2]
    plain = [p for p in parameters if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": training.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        betas=training.betas, foreach=False,
    )  # fmt: skip
    position, losses = run.position, []
    for step in range(30):
        at, position = position.advance(16, len(run.train_data))
        batch = run.train_data.batch(at, 16, run.world, device, "light", step)
        matrices = model.pair_logits(model.encode_images(batch.pixels), model.encode_texts(batch.tokens))
        optimizer.zero_grad()
        loss = sum(objective(matrix, batch.is_normal) for matrix in matrices)
        loss.backward()
        losses.append(loss.item())
        torch.nn.utils.clip_grad_norm_(parameters, training.clip_norm)
        for group in optimizer.param_groups:
            group["lr"] = loop.schedule.learning_rate(training, step / 30)
        optimizer.step()
    np.testing.assert_allclose(pd.read_parquet(layout.run(system, seed) / "history.parquet")["loss"], losses, rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_same_seed_gives_the_same_bits_and_another_does_not(folder: Path, precision: str) -> None:
    plan = files.read_json(layout.plan("carzero"))
    plan["training"]["precision"] = precision
    files.write_json(layout.plan("carzero"), plan)
    train.run("carzero", 0)
    first = digest("carzero", 0)
    train.run("carzero", 0)
    assert digest("carzero", 0) == first
    train.run("carzero", 1)
    assert digest("carzero", 1)["model.safetensors"] != first["model.safetensors"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time that a step is timed it takes longer, as on a machine that gets busier; no load decides the test."""
    seconds = itertools.count(0.021, 0.013)
    monkeypatch.setattr(budget, "time_steps", lambda *_: next(seconds))


@pytest.mark.parametrize("unit", ["flops", "device_seconds", "samples"])
def test_no_two_systems_differ_by_more_than_one_step(folder: Path, clock: None, unit: str) -> None:
    amount = {"flops": 3e8, "device_seconds": 0.3, "samples": 200}[unit]
    workplace.write_params(folder, workplace.params(budget={"unit": unit, "amount": amount}))
    for system in ("clip", "offclip"):
        train.run(system, 0)
        ledger = files.read_json(layout.run(system, 0) / "ledger.json")
        spent = ledger["spent"][unit]
        assert ledger["steps"] >= 2
        assert spent <= amount < spent + spent / ledger["steps"] * (1 + 1e-9)


@pytest.mark.parametrize("system", ["clip", "carzero"])
def test_chunks_and_processes_take_the_same_number_of_steps(folder: Path, system: str) -> None:
    """The budget counts the model; what is computed again stands in a column of its own."""
    budget = {"unit": "flops", "amount": 3e8}
    found = {}
    for how, chunk_size in (("whole", None), ("chunked", 4)):
        workplace.write_params(folder, workplace.params(training={"chunk_size": chunk_size}, budget=budget))
        train.run(system, 0)
        found[how] = files.read_json(layout.run(system, 0) / "ledger.json")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    workplace.write_params(folder, workplace.params(budget=budget))
    environment = {**os.environ, "PYTHONPATH": str(workplace.REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [*torchrun, "-m", "benchmark", "train", "--system", system, "--seed", "0"]
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    found["two processes"] = files.read_json(layout.run(system, 0) / "ledger.json")
    assert found["two processes"]["world_size"] == 2
    assert len({ledger["steps"] for ledger in found.values()}) == 1
    assert len({ledger["spent"]["flops"] for ledger in found.values()}) == 1
    assert found["whole"]["computed_flops"] == found["whole"]["spent"]["flops"]
    assert found["chunked"]["computed_flops"] > 1.2 * found["chunked"]["spent"]["flops"]


def test_a_snapshot_of_an_older_plan_never_enters_the_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after a snapshot and before the first checkpoint, then planned anew without that snapshot."""
    state = layout.run("clip", 0).parent / ".state" / "clip-0"
    step = loop.Learner.step

    def killed(learner: loop.Learner, *arguments: Any) -> float:
        if (state / "outputs" / "snapshot-25.safetensors").exists():
            raise KeyboardInterrupt
        return step(learner, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Learner, "step", killed)
        with pytest.raises(KeyboardInterrupt):
            train.run("clip", 0)
    assert not (state / "checkpoint.pt").exists()
    workplace.write_params(folder, workplace.params(training={"learning_rate": 1e-4, "snapshots": [0.5]}))
    train.run("clip", 0)
    assert {path.name for path in layout.run("clip", 0).glob("snapshot-*")} == {"snapshot-50.safetensors"}


def test_the_validation_pairs_are_the_same_for_every_system(folder: Path) -> None:
    """Else the curves of systems with filtered and with raw captions could not be compared."""
    captions = []
    for system in ("clip", "offclip"):
        plan = train.Plan.read(system)
        run = train.build_run(plan, plan.training, 0, torch.device("cpu"), train.distributed.ALONE)
        tokens = run.validation_data.batch(
            run.position, len(run.validation_data), train.distributed.ALONE, torch.device("cpu"), "none", 0
        ).tokens
        captions.append(tokens.ids)
    assert torch.equal(*captions)


def test_a_compiled_clone_leaves_the_gradients_of_the_original_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    plan = train.Plan.read("clip")
    training = plan.training.model_copy(update={"compile": True, "precision": "float32"})
    run = train.build_run(plan, training, 0, torch.device("cpu"), train.distributed.ALONE)
    batch = run.train_data.batch(run.position, 16, run.world, torch.device("cpu"), "none", 0)
    clone = run.learner.clone()
    clone.backward(batch, (0,))
    assert all(parameter.grad is None for parameter in run.learner.model.parameters())
    assert any(parameter.grad is not None for parameter in clone.model.parameters())


def test_a_budget_in_seconds_gives_the_same_steps_again(folder: Path, clock: None) -> None:
    workplace.write_params(folder, workplace.params(budget={"unit": "device_seconds", "amount": 0.4}))
    train.run("clip", 0)
    first = files.read_json(layout.run("clip", 0) / "ledger.json"), digest("clip", 0)
    train.run("clip", 0)
    second = files.read_json(layout.run("clip", 0) / "ledger.json"), digest("clip", 0)
    assert first[0]["steps"] == second[0]["steps"] == 19
    assert first[0]["spent"] == second[0]["spent"]
    assert first[1] == second[1]


def test_a_batch_schedule_is_followed(folder: Path) -> None:
    workplace.write_params(folder, workplace.params(training={"batch_size": [[0.0, 8], [0.5, 32]]}))
    train.run("clip", 0)
    samples = pd.read_parquet(layout.run("clip", 0) / "history.parquet")["samples"]
    assert samples.diff().dropna().unique().tolist() == [8.0, 32.0]


def test_training_under_torchrun_equals_one_process(folder: Path) -> None:
    train.run("offclip", 0)
    alone = pd.read_parquet(layout.run("offclip", 0) / "history.parquet")
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "benchmark",
    ]
    environment = {**os.environ, "PYTHONPATH": str(workplace.REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "train", "--system", "offclip", "--seed", "0"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    ledger = files.read_json(layout.run("offclip", 0) / "ledger.json")
    assert (ledger["world_size"], ledger["steps"], ledger["spent"]["samples"]) == (2, 30, 480)
    both = pd.read_parquet(layout.run("offclip", 0) / "history.parquet")
    for column in ("loss", "validation_loss", "learning_rate", "samples"):
        np.testing.assert_allclose(both[column], alone[column], rtol=2e-3)


def test_sigterm_leaves_a_checkpoint_and_the_next_run_ends_the_same(
    folder: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backward = loop.Learner.backward

    def terminated(learner: loop.Learner, batch: loop.Batch, seed: tuple[int, ...]) -> torch.Tensor:
        if (STATE / "clip-0/outputs/snapshot-25.safetensors").exists():
            signal.raise_signal(signal.SIGTERM)
        return backward(learner, batch, seed)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Learner, "backward", terminated)
        with pytest.raises(UserError, match=r"Stopped by SIGTERM after step \d+ .* run the same command again"):
            train.run("clip", 0)
    assert (STATE / "clip-0/checkpoint.pt").exists()
    train.run("clip", 0)
    assert digest("clip", 0) == digest("clip", 0, undisturbed)
    assert files.read_json(layout.run("clip", 0) / "ledger.json")["resumed"] == 1


def test_max_minutes_stops_with_a_checkpoint_and_can_be_gone_on_with(folder: Path, undisturbed: Path) -> None:
    for _ in range(5):
        with pytest.raises(UserError, match=r"Stopped after 0 minutes after step \d .* run the same command again"):
            train.run("clip", 0, max_minutes=0.0)
    assert torch.load(STATE / "clip-0/checkpoint.pt", weights_only=True)["account"]["steps"] == 5
    train.run("clip", 0)
    assert digest("clip", 0) == digest("clip", 0, undisturbed)


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.write_params(folder, workplace.params(training={"checkpoint_seconds": 1e-9}))
    backward = loop.Learner.backward

    def breaks(learner: loop.Learner, batch: loop.Batch, seed: tuple[int, ...]) -> torch.Tensor:
        loss = backward(learner, batch, seed)
        return loss * math.nan if seed[-1] == 7 else loss

    monkeypatch.setattr(loop.Learner, "backward", breaks)
    with pytest.raises(UserError, match=r"stopped at step 8: the loss became nan at learning rate .* last good"):
        train.run("clip", 0)
    state = torch.load(STATE / "clip-0/checkpoint.pt", weights_only=True)
    assert state["account"]["steps"] == 7
    assert all(torch.isfinite(weight).all() for weight in state["model"].values())


def test_a_full_disk_is_a_sentence_and_the_checkpoint_before_it_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workplace.write_params(folder, workplace.params(training={"checkpoint_seconds": 1e-9}))
    save, calls = torch.save, []

    def fills(state: object, path: Path) -> None:
        calls.append(1)
        if len(calls) == 4:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        save(state, path)

    monkeypatch.setattr(checkpoint.torch, "save", fills)
    with pytest.raises(UserError, match=r"disk is full: .*checkpoint.pt could not be written; the last good"):
        train.run("clip", 0)
    assert torch.load(STATE / "clip-0/checkpoint.pt", weights_only=True)["account"]["steps"] == 3
    assert [path.name for path in (STATE / "clip-0").glob("*.part")] == []


def test_a_checkpoint_of_another_plan_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError):
        train.run("clip", 0, max_minutes=0.0)
    workplace.write_params(folder, workplace.params(training={"learning_rate": 0.001}))
    train.run("clip", 0)
    assert "belongs to another plan, seed or data: ignored" in capsys.readouterr().err
    assert files.read_json(layout.run("clip", 0) / "ledger.json")["resumed"] == 0


def test_a_broken_checkpoint_is_named(folder: Path) -> None:
    (STATE / "clip-0").mkdir(parents=True)
    (STATE / "clip-0/checkpoint.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=r"checkpoint.pt cannot be read .* delete runs/.state/clip-0"):
        train.run("clip", 0)


def test_a_budget_below_one_step_and_a_batch_above_the_cohort_are_refused(folder: Path) -> None:
    workplace.write_params(folder, workplace.params(budget={"unit": "samples", "amount": 8}))
    with pytest.raises(UserError, match="does not cover a single step"):
        train.run("clip", 0)
    workplace.write_params(folder, workplace.params(training={"batch_size": 512}))
    with pytest.raises(UserError, match="batch_size` is 512, but only 76 studies train"):
        train.run("clip", 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused(folder: Path) -> None:
    workplace.write_params(folder, workplace.params(training={"device": "cuda"}))
    with pytest.raises(UserError, match="finds no GPU"):
        train.run("clip", 0)


def test_validation_costs_no_budget_and_changes_no_weight(
    folder: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "VALIDATIONS", 1)
    train.run("clip", 0)
    assert digest("clip", 0) == digest("clip", 0, undisturbed)
    assert np.isfinite(pd.read_parquet(layout.run("clip", 0) / "history.parquet")["validation_loss"]).sum() == 1

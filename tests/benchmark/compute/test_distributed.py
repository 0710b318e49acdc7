"""Two processes with half of the batch each do what one process does with all of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.compute.distributed import ALONE, World
from benchmark.pipeline import layout
from benchmark.pipeline.settings import TrainingSettings
from benchmark.training.budget import count_flops
from benchmark.training.loop import Learner
from offclip import objective
from tests.benchmark.training import pairs, workplace
from tests.benchmark.training.test_step import OBJECTIVES

PAIRS, STEPS = 8, 20
PATIENCE = 900
"""Seconds after which a run hangs; it takes a few on an idle machine."""
CASES = [("carzero", name, None) for name in OBJECTIVES] + [
    ("clip", "info_nce", None),
    ("carzero", "off_clip sigmoid", 3),
]


def learn(world: World, scorer: str, name: str, chunk_size: int | None) -> dict[str, Any]:
    """Gradients of a first step, FLOPs of all processes, and the weights after ``STEPS`` steps."""
    model, (kind, options) = pairs.model(scorer), OBJECTIVES[name]
    training = TrainingSettings(precision="float32", batch_size=PAIRS, chunk_size=chunk_size)
    learner = Learner(model, objective.build(kind, options).double(), training, torch.device("cpu"), world)
    batches = [pairs.batch(model, PAIRS, world.own(PAIRS), seed) for seed in range(STEPS)]
    flops = world.total(count_flops(lambda: learner.backward(batches[0], (0,))))
    first = pairs.gradients(learner.model, learner.objective)
    losses = [learner.step(batch, 1e-3, (number,)) for number, batch in enumerate(batches)]
    weights = {f"{i}.{k}": v for i, m in enumerate((model, learner.objective)) for k, v in m.state_dict().items()}
    return {"gradients": first, "losses": losses, "weights": weights, "flops": flops}


def process(rank: int, folder: str) -> None:
    """One of two."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save([learn(World(rank, 2), *case) for case in CASES], f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Any]]]:
    """What each of the two processes found."""
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(process, (str(folder),), nprocs=2)
    return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{s}, {n}, chunk {c}" for s, n, c in CASES])
def test_two_processes_equal_one_with_the_doubled_batch(both: list[list[dict[str, Any]]], number: int) -> None:
    alone = learn(ALONE, *CASES[number])
    first, second = (processes[number] for processes in both)
    for found in (first, second):
        assert pairs.relative_difference(alone["gradients"], found["gradients"]) < 1e-10
        assert found["losses"] == pytest.approx(alone["losses"], rel=1e-6)
        assert alone["weights"].keys() == found["weights"].keys()
        for name, weight in alone["weights"].items():
            torch.testing.assert_close(found["weights"][name], weight, rtol=1e-5, atol=1e-7)
    for name, weight in first["weights"].items():
        assert torch.equal(weight, second["weights"][name]), "the processes must not drift apart"
    # Each process scores its own images, so the pair matrix is split; only the texts' keys and values are made twice.
    assert alone["flops"] <= first["flops"] == second["flops"] <= 1.1 * alone["flops"]


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(UserError, match="batch_size 5 is not divisible by the 2 processes"):
        World(0, 2).own(5)


def launch(folder: Path) -> subprocess.Popen[str]:
    """``train`` of CLIP in two processes of torchrun, as docs/cluster.md starts it."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.Popen(
        [*command, "-m", "benchmark", "train", "--system", "clip", "--seed", "0"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(workplace.REPOSITORY), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def process_of(run: subprocess.Popen[str], rank: int) -> int:
    """Process id of a rank."""
    listed = " ".join(path.read_text() for path in Path(f"/proc/{run.pid}/task").glob("*/children"))
    word = f"\0RANK={rank}\0".encode()
    return next(int(child) for child in listed.split() if word in Path(f"/proc/{child}/environ").read_bytes())


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the processes are found in /proc")
def test_a_process_that_is_killed_ends_the_run_and_the_same_command_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    values = workplace.params(training={"checkpoint_seconds": 1e-9}, budget={"unit": "samples", "amount": 16 * 300})
    untouched, struck = tmp_path / "untouched", tmp_path / "struck"
    for folder in (untouched, struck):
        folder.mkdir()
        workplace.write(folder, values)
    beside = launch(untouched)
    state, steps = struck / "runs/.state/clip-0/checkpoint.pt", 0
    for rank in (1, 0):
        run = launch(struck)
        deadline = time.monotonic() + PATIENCE
        while not (state.exists() and torch.load(state, weights_only=True)["account"]["steps"] > steps + 5):
            assert run.poll() is None, "the run ended before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process_of(run, rank), signal.SIGKILL)
        _, said = run.communicate(timeout=PATIENCE)
        assert run.returncode != 0
        assert "error: Another process of this run was lost (" in said
        assert "Traceback" not in said.partition("Another process")[0]
        reached, steps = steps, torch.load(state, weights_only=True)["account"]["steps"]
        assert reached < steps < 300
    run = launch(struck)
    _, said = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, said
    assert beside.wait(PATIENCE) == 0
    assert files.read_json(struck / layout.run("clip", 0) / "ledger.json")["resumed"] == 2
    for name in ("model.safetensors", "snapshot-25.safetensors", "snapshot-50.safetensors"):
        path = layout.run("clip", 0) / name
        assert files.sha256_file(struck / path) == files.sha256_file(untouched / path), name

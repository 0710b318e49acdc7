"""Two processes with half of the batch each do what one process does with all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing

from benchmark.errors import UserError
from benchmark.settings import TrainingSettings
from benchmark.training.budget import count_flops
from benchmark.training.distributed import ALONE, World
from benchmark.training.loop import Learner
from offclip import objective
from tests.benchmark.training import pairs
from tests.benchmark.training.test_step import OBJECTIVES

PAIRS, STEPS = 8, 20
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
    # Each process scores its own pictures, so the pair matrix is split; only the texts' keys and values are made twice.
    assert alone["flops"] <= first["flops"] == second["flops"] <= 1.1 * alone["flops"]


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(UserError, match="batch_size 5 is not divisible by the 2 processes"):
        World(0, 2).own(5)

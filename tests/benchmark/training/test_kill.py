"""``kill -9`` at random moments, then the same command again: the run ends with the weights it would have had."""

from __future__ import annotations

import multiprocessing
import random
import time
from pathlib import Path

import pytest

from benchmark.common import files
from benchmark.pipeline import layout
from tests.benchmark.training import workplace
from tests.benchmark.training.workplace import train_there

STEPS = 4
"""After so many steps a process is killed at the latest, however much faster the machine has become meanwhile."""


def modified(path: Path) -> int:
    """When a file was last replaced, ns; 0 where it is missing."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


@pytest.mark.parametrize("kills", [8, pytest.param(20, marks=pytest.mark.chaos)])
def test_a_run_killed_again_and_again_ends_with_the_same_weights(tmp_path: Path, kills: int) -> None:
    # The fork server has imported everything once, so a process begins to train within a tenth of a second.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.benchmark.training.workplace"])
    budget = {"unit": "samples", "amount": 16 * 120}
    values = workplace.params(budget=budget, training={"checkpoint_seconds": 1e-9})
    untouched, killed = tmp_path / "untouched", tmp_path / "killed"
    for folder in (untouched, killed):
        workplace.write(folder, values)

    def start(folder: Path) -> multiprocessing.process.BaseProcess:
        process = context.Process(target=train_there, args=(str(folder), "offclip", 0))
        process.start()
        return process

    start(untouched).join()
    ledger = files.read_json(untouched / layout.run("offclip", 0) / "ledger.json")
    step = ledger["spent"]["device_seconds"] / ledger["steps"]
    checkpoint = killed / "runs/.state/offclip-0/checkpoint.pt"
    moments = random.Random(20)
    for life in range(kills):
        before = modified(checkpoint)
        process = start(killed)
        # Every fourth is killed wherever it is, the others some steps after they resumed: of steps as long as they are
        # here, so that a quick machine is not at the end before its last kill.
        while life % 4 and process.is_alive() and modified(checkpoint) == before:
            time.sleep(0.001)
        strikes, replaced, seen = time.monotonic() + moments.uniform(0, 4 * step), 0, modified(checkpoint)
        while time.monotonic() < strikes and replaced < STEPS:
            time.sleep(0.001)
            replaced, seen = replaced + (modified(checkpoint) != seen), modified(checkpoint)
        process.kill()  # SIGKILL
        process.join()
    assert checkpoint.exists(), "the run ended before its last kill: give it more steps"
    process = start(killed)
    process.join()

    assert process.exitcode == 0
    assert files.read_json(killed / layout.run("offclip", 0) / "ledger.json")["resumed"] > kills / 2
    for name in ("model.safetensors", "snapshot-25.safetensors", "snapshot-50.safetensors"):
        run = layout.run("offclip", 0) / name
        assert files.sha256_file(killed / run) == files.sha256_file(untouched / run), name
    assert not (killed / "runs/.state").exists()

"""Real Ray: two nodes of which one is killed, Ctrl-C, and clusters that are not there."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark import cli
from benchmark.common import files
from benchmark.fanout import cluster
from benchmark.pipeline import layout
from tests.benchmark.fanout import repository

PATIENCE = 400
"""Seconds after which something hangs; it takes a few on an idle machine."""


@pytest.fixture(scope="module", autouse=True)
def _ray() -> None:
    pytest.importorskip("ray", reason="the extra `cluster` is not installed")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `dvc repro` makes."""
    root = tmp_path_factory.mktemp("made") / "work"
    repository.write(root)
    repository.dvc(root, "repro")
    return root


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    repository.write(root)
    return root


def steps(root: Path, system: str) -> int:
    """Of the last checkpoint; 0 where there is none."""
    path = root / f"runs/.state/{system}-0/checkpoint.pt"
    try:
        return int(torch.load(path, weights_only=True)["account"]["steps"])
    except FileNotFoundError:
        return 0


def wait_for(what: Callable[[], Any], run: subprocess.Popen[str]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert run.poll() is None, run.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def assert_the_same(made: Path, root: Path) -> None:
    """The same weights as `dvc repro` made, and nothing left for it to do."""
    for system in repository.SYSTEMS:
        for name in repository.WEIGHTS:
            path = layout.run(system, 0) / name
            assert files.sha256_file(root / path) == files.sha256_file(made / path), path
    assert "Running stage" not in repository.dvc(root, "repro")


@pytest.fixture
def nodes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A Ray cluster on this machine; ``indirect``: what each of its nodes has."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", repository.environment()["PYTHONPATH"])
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    head, *others = [{"object_store_memory": 100 << 20, **node} for node in request.param]
    started = Cluster(initialize_head=True, connect=False, head_node_args={"include_dashboard": False, **head})
    for other in others:
        started.add_node(**other)
    yield started
    started.shutdown()


@pytest.mark.chaos
@pytest.mark.parametrize("nodes", [[{"num_cpus": 1}, {"num_cpus": 1}]], indirect=True, ids=["two nodes"])
def test_a_node_is_killed_and_the_same_bits_come_out(made: Path, fresh: Path, nodes: Any) -> None:
    second = next(iter(nodes.worker_nodes))
    run = repository.fanout(fresh, "train", "--address", nodes.address)

    def struck() -> str | None:
        """The system that trains on the second node and is past its first steps."""
        for system in repository.SYSTEMS:
            log = fresh / f"logs/train@{system}-0.log"
            if log.exists() and f"[{second.node_id}]" in log.read_text() and steps(fresh, system) > 5:
                return system
        return None

    system = wait_for(struck, run)
    nodes.remove_node(second, allow_graceful=False)
    said, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, said
    assert f"train@{system}-0: its node died; it goes on from where it was (attempt 2 of 3)" in said
    assert "2 done" in said
    assert files.read_json(fresh / layout.run(system, 0) / "ledger.json")["resumed"] == 1
    assert_the_same(made, fresh)


@pytest.mark.chaos
@pytest.mark.parametrize(
    "nodes",
    [[{"num_cpus": 1, "num_gpus": 2}], [{"num_cpus": 1, "num_gpus": 1}, {"num_cpus": 1, "num_gpus": 1}]],
    indirect=True,
    ids=["two on one node", "one on each of two"],
)
def test_two_gpus_a_run_are_two_processes_of_torchrun(fresh: Path, nodes: Any) -> None:
    """The GPUs are Ray's word for places here; what trains in them is gloo on the CPU."""
    run = repository.fanout(fresh, "train@clip-0", "--gpus-per-run", "2", "--address", nodes.address)
    said, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, said + "".join(log.read_text() for log in (fresh / "logs").glob("*.log*"))
    ledger = files.read_json(fresh / layout.run("clip", 0) / "ledger.json")
    assert (ledger["world_size"], ledger["steps"]) == (2, repository.STEPS)


def trainings(root: Path) -> list[int]:
    """Processes that train in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if b"\0train\0" in (entry / "cmdline").read_bytes() and (entry / "cwd").resolve() == root.resolve():
                found.append(int(entry.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


def is_asked_to_stop(process: int) -> bool:
    """Whether SIGTERM waits for a process that stands still."""
    pending = re.findall(r"(?:SigPnd|ShdPnd):\s+(\w+)", Path(f"/proc/{process}/status").read_text())
    return any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in pending)


@pytest.mark.chaos
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the processes are found in /proc")
@pytest.mark.parametrize(("number", "in_background"), [(signal.SIGINT, False), (signal.SIGTERM, True)])
def test_asked_to_stop_it_keeps_checkpoints_and_the_same_command_goes_on(
    made: Path, fresh: Path, number: signal.Signals, in_background: bool
) -> None:
    run = repository.fanout(fresh, "--cpus-per-run", "1", in_background=in_background)
    wait_for(lambda: any(steps(fresh, system) > 5 for system in repository.SYSTEMS), run)
    held = trainings(fresh)
    for process in held:  # stand still, so that none ends before it is asked to stop
        os.kill(process, signal.SIGSTOP)

    beside = repository.fanout(fresh)
    said, _ = beside.communicate(timeout=PATIENCE)
    assert beside.returncode == 2
    assert "error: Another `fanout` is at work in this folder" in said
    repro = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=fresh, env=repository.environment(), capture_output=True, text=True
    )
    assert repro.returncode != 0
    assert "is busy, it is being blocked by" in repro.stderr

    os.kill(run.pid, number)
    for process in held:
        wait_for(lambda asked=process: is_asked_to_stop(asked), run)
        os.kill(process, signal.SIGCONT)
    said, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 130, said
    assert "Checkpoints are kept; `python -m benchmark fanout` goes on" in said
    assert f"Stopped by {number.name}: " in said
    assert "Traceback" not in said
    kept = sum(steps(fresh, system) for system in repository.SYSTEMS)
    assert kept > 5

    run = repository.fanout(fresh, "--cpus-per-run", "1")
    said, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0, said
    ledgers = [files.read_json(fresh / layout.run(system, 0) / "ledger.json") for system in repository.SYSTEMS]
    assert max(ledger["resumed"] for ledger in ledgers) == 1
    assert_the_same(made, fresh)


def refused(root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The sentence of a `fanout` that does not begin."""
    monkeypatch.chdir(root)
    assert cli.main(["fanout", *words]) == 2
    assert not (root / "runs").exists()
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "sentence"),
    [("nowhere", "expects `auto` or HOST:PORT"), ("127.0.0.1:{free}", "Nobody answers at 127.0.0.1:")],
)
def test_a_cluster_that_does_not_answer_is_refused_within_seconds(
    fresh: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    address: str,
    sentence: str,
) -> None:
    with socket.socket() as held:  # bound and not listening: nobody else can answer there
        held.bind(("127.0.0.1", 0))
        said = refused(fresh, monkeypatch, capsys, "--address", address.format(free=held.getsockname()[1]))
    assert sentence in said


def test_without_ray_the_sentence_names_the_extra(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert cluster.HOW_TO_INSTALL in " ".join(refused(fresh, monkeypatch, capsys).split())

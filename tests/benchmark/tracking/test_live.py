"""Live curves: what MLflow holds of a training while it runs, and that nothing of it reaches the training."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from benchmark.common import files
from benchmark.common.errors import Stopped, UserError
from benchmark.pipeline import layout
from benchmark.tracking import live, store
from benchmark.training import checkpoint, loop, train
from tests.benchmark.training import workplace
from tests.serving import served

mlflow = pytest.importorskip("mlflow")
STEPS = 30
MEASURED = {"measured_seconds", "peak_memory_bytes"}
"""What no two trainings share."""
SUBJECT = {"system": "clip", "seed": 0, "key": "k", "params": {"model": "clip"}}


def point(step: int, loss: float) -> dict[str, Any]:
    """A line for the follower."""
    return {"step": step, "milliseconds": 1_700_000_000_000 + step, "metrics": {"training/loss": loss}}


def follow(root: Path, lines: list[dict[str, Any]]) -> str:
    """What the follower says to ``lines`` and the end of its input."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmark.tracking.follow"],
        input="".join(json.dumps(line) + "\n" for line in lines),
        env={**os.environ, "PYTHONPATH": str(workplace.REPOSITORY)},
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def plain(undisturbed: Path, empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workplace in which CLIP was trained unwatched, beside an empty store of MLflow's."""
    root = tmp_path_factory.mktemp("plain") / "work"
    shutil.copytree(undisturbed, root)
    shutil.copy(empty_store, root / "store.db")
    return root


@pytest.fixture
def folder(plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same before its training, as working directory; the environment names its store."""
    root = tmp_path / "work"
    shutil.copytree(plain, root)
    shutil.rmtree(root / "runs")
    monkeypatch.chdir(root)
    monkeypatch.setenv(live.URI, "sqlite:///store.db")
    monkeypatch.setattr(live, "FINISH_SECONDS", 600.0)  # a busy machine starts MLflow slowly
    return root


def runs(root: Path) -> list[Any]:
    """Every live run, the newest first."""
    client = mlflow.MlflowClient(f"sqlite:///{root / 'store.db'}")
    home = client.get_experiment_by_name("off-clip (live)")
    return list(client.search_runs([home.experiment_id], order_by=["attributes.start_time DESC"])) if home else []


def curve(root: Path, run: Any, name: str) -> list[tuple[int, float]]:
    """(step, value) in the order of logging."""
    client = mlflow.MlflowClient(f"sqlite:///{root / 'store.db'}")
    return [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, f"training/{name}")]


def assert_same_training(root: Path, plain: Path) -> None:
    """Weights bit for bit, curve and ledger but for what is measured."""
    run = layout.run("clip", 0)
    names = sorted(path.name for path in (plain / run).iterdir())
    assert sorted(path.name for path in (root / run).iterdir()) == names
    for name in (name for name in names if name.endswith(".safetensors")):
        assert files.sha256_file(root / run / name) == files.sha256_file(plain / run / name), name
    ours, theirs = (pd.read_parquet(each / run / "history.parquet") for each in (root, plain))
    pd.testing.assert_frame_equal(ours.drop(columns="device_seconds"), theirs.drop(columns="device_seconds"))
    accounts = [files.read_json(each / run / "ledger.json") for each in (root, plain)]
    for account in accounts:
        account["spent"].pop("device_seconds")
    assert [accounts[0][key] for key in accounts[0].keys() - MEASURED] == [
        accounts[1][key] for key in accounts[0].keys() - MEASURED
    ]


def test_the_curves_are_those_of_the_run_and_the_training_is_the_same(folder: Path, plain: Path) -> None:
    train.run("clip", 0, watcher=live.Curves)

    assert_same_training(folder, plain)
    (run,) = runs(folder)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "CLIP, seed 0")
    assert (run.data.tags["system"], run.data.tags["seed"], run.data.tags["cohort"]) == ("clip", "0", "PHANTOM")
    history = pd.read_parquet(layout.run("clip", 0) / "history.parquet").set_index("step")
    for name in ("loss", "learning_rate", "progress", "samples"):
        logged = curve(folder, run, name)
        assert len(logged) >= loop.VALIDATIONS
        assert logged == [(step, history[name][step]) for step, _ in logged]
        assert logged[-1][0] == STEPS
    validated = history["validation_loss"].dropna()
    assert curve(folder, run, "validation_loss") == list(zip(validated.index, validated, strict=True))
    assert all(rate > 0 for _, rate in curve(folder, run, "samples_per_second"))
    assert (run.data.params["model"], run.data.params["budget.amount"]) == ("clip", "480.0")


def test_the_store_learns_names_and_numbers_and_no_path(folder: Path) -> None:
    values = files.read_json(layout.plan("clip"))
    values["encoders"]["image"]["init"] = values["checkpoint"] = "/secret/weights.safetensors"
    values["model_options"] = {"folder": "/secret"}
    plan = train.Plan(values)
    subject = train._subject(plan, plan.training, checkpoint.StateFolder("clip", 0, "k"))
    assert set(subject.params) > {"model", "budget.amount", "training.learning_rate"}
    assert not [value for value in subject.params.values() if "/" in str(value)]


def test_an_interrupted_training_goes_on_in_the_same_run(folder: Path, plain: Path) -> None:
    with pytest.raises(Stopped):
        train.run("clip", 0, max_minutes=0.0, watcher=live.Curves)
    (stopped,) = runs(folder)
    assert stopped.info.status == "KILLED"
    assert [step for step, _ in curve(folder, stopped, "loss")] == [1]
    train.run("clip", 0, watcher=live.Curves)

    (run,) = runs(folder)
    assert (run.info.run_id, run.info.status) == (stopped.info.run_id, "FINISHED")
    steps = [step for step, _ in curve(folder, run, "loss")]
    assert steps == sorted(set(steps)), "a step that was logged before the interruption is not logged again"
    assert steps[-1] == STEPS
    run_folder = layout.run("clip", 0) / "model.safetensors"
    assert files.sha256_file(run_folder) == files.sha256_file(plain / run_folder)


def test_a_killed_training_is_seen_as_killed_and_a_whole_one_is_not_gone_on_with(folder: Path) -> None:
    assert follow(folder, [SUBJECT, point(1, 3.0), point(2, 2.0)]) == ""
    (killed,) = runs(folder)
    assert (killed.info.status, curve(folder, killed, "loss")) == ("KILLED", [(1, 3.0), (2, 2.0)])
    follow(folder, [SUBJECT, point(2, 2.0), point(3, 1.0), {"status": "FINISHED"}])
    (whole,) = runs(folder)
    assert (whole.info.status, curve(folder, whole, "loss")) == ("FINISHED", [(1, 3.0), (2, 2.0), (3, 1.0)])
    follow(folder, [SUBJECT, point(1, 3.0), {"status": "FINISHED"}])
    follow(folder, [{**SUBJECT, "key": "another"}, point(1, 4.0), {"status": "FAILED"}])
    assert [run.info.status for run in runs(folder)] == ["FAILED", "FINISHED", "FINISHED"]


def test_a_loss_that_is_not_a_number_is_a_failed_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backward = loop.Learner.backward

    def breaks(learner: loop.Learner, batch: loop.Batch, seed: tuple[int, ...]) -> torch.Tensor:
        loss = backward(learner, batch, seed)
        return loss * math.nan if seed[-1] == 7 else loss

    monkeypatch.setattr(loop.Learner, "backward", breaks)
    with pytest.raises(UserError, match="the loss became nan"):
        train.run("clip", 0, watcher=live.Curves)
    (run,) = runs(folder)
    assert run.info.status == "FAILED"
    assert curve(folder, run, "loss")[-1][0] == 7


@pytest.fixture(scope="module")
def server(empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server."""
    root = tmp_path_factory.mktemp("server")
    shutil.copy(empty_store, root / "served.db")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{root / 'served.db'}"]
    with served(lambda port: [*command, "--workers", "1", "--port", str(port)], root, store.environment()) as address:
        yield address


def test_a_server_shows_the_curves_at_the_address_that_is_said(
    folder: Path, plain: Path, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(live.URI, server)
    train.run("clip", 0, watcher=live.Curves)
    client = mlflow.MlflowClient(server)
    (run,) = client.search_runs([client.get_experiment_by_name("off-clip (live)").experiment_id])
    assert run.info.status == "FINISHED"
    assert [point.step for point in client.get_metric_history(run.info.run_id, "training/loss")][-1] == STEPS
    said = [line for line in capsys.readouterr().err.splitlines() if "MLflow" in line]
    page = f"{server}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}/model-metrics"
    assert said == [f"MLflow: the curves of CLIP, seed 0: {page}"]
    assert_same_training(folder, plain)


@contextmanager
def unreachable(root: Path) -> Iterator[str]:
    """An address at which nobody answers the call."""
    yield "http://user:secret@127.0.0.1:9"


@contextmanager
def silent(root: Path) -> Iterator[str]:
    """A server that takes the call and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def locked(root: Path) -> Iterator[str]:
    """A database that another process holds."""
    with closing(sqlite3.connect(root / "store.db", isolation_level=None)) as held:
        held.execute("BEGIN EXCLUSIVE")
        yield "sqlite:///store.db"


@contextmanager
def broken(root: Path) -> Iterator[str]:
    """A file that is no database."""
    (root / "store.db").write_text("no database")
    yield "sqlite:///store.db"


@pytest.mark.parametrize(
    ("faulty", "sentence"),
    [
        (unreachable, "no live curves; training continues without them: MlflowException"),
        (locked, "no live curves; training continues without them: OperationalError: database is locked"),
        (broken, "no live curves; training continues without them: DatabaseError"),
        (silent, "the live curves are incomplete: the store did not accept the last points within 1 s"),
    ],
)
def test_a_store_that_cannot_be_logged_to_is_one_sentence_and_the_training_the_same(
    folder: Path,
    plain: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    faulty: Any,
    sentence: str,
) -> None:
    with faulty(folder) as uri:
        monkeypatch.setenv(live.URI, uri)
        if faulty is silent:  # waiting for an answer would never end
            monkeypatch.setattr(live, "FINISH_SECONDS", 1.0)
        train.run("clip", 0, watcher=live.Curves)
    said = capsys.readouterr().err
    assert said.count("MLflow") - said.count("MlflowException") <= 1
    assert said.count(sentence) == 1
    assert "secret" not in said
    assert_same_training(folder, plain)


@pytest.mark.parametrize("uri", ["", "sqlite:///store.db"])
def test_the_training_never_imports_mlflow_and_starts_nothing_without_a_store(folder: Path, uri: str) -> None:
    program = (
        "import subprocess, sys\nfrom benchmark.tracking import live\nfrom benchmark.training import train\n"
        "started, popen = [], subprocess.Popen.__init__\n"
        "def noted(self, *a, **k):\n    started.append('follow' in str(a))\n    popen(self, *a, **k)\n"
        "subprocess.Popen.__init__ = noted\n"
        "train.run('clip', 0, watcher=live.Curves)\nprint(sum(started), 'mlflow' in sys.modules)\n"
    )
    environment = {**os.environ, live.URI: uri, "PYTHONPATH": str(workplace.REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(int(bool(uri))), "False"]


def test_one_process_of_several_logs(folder: Path) -> None:
    with live.Curves(live.Subject("clip", 0, "k"), wanted=False) as curves:
        curves({"step": 1, "loss": 1.0, "samples": 16.0, "validation_loss": math.nan})
    assert runs(folder) == []

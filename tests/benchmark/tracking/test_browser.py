"""What a person sees in MLflow: runs listed, a chart drawn, an artifact opened, in a real headless Chromium."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from benchmark.tracking import store, track
from tests.repository import REPOSITORY

mlflow = pytest.importorskip("mlflow")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
STARTING_SECONDS = 120
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; on Debian: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def served(reported_once, tmp_path_factory):
    """A tracked run and the address that MLflow serves it at."""
    root = tmp_path_factory.mktemp("served") / "work"
    shutil.copytree(reported_once, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        track.run()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", f"from benchmark.tracking import track; track.ui(port={port})"]
    repository = REPOSITORY
    environment = {**store.environment(), "PYTHONPATH": str(repository)}
    with open(root / "ui.log", "w") as log:
        server = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(address, server, root / "ui.log")
        yield address, mlflow.MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")
    finally:
        subprocess.run(["kill", "--", f"-{server.pid}"], check=False)
        server.wait(timeout=30)


def _wait(address: str, server: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5)
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"MLflow did not start within {STARTING_SECONDS} s: {log.read_text()}")


def page(address: str, profile: Path) -> str:
    """The page's document after its scripts ran, as text."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={profile}"]
    flags += ["--window-size=1600,1200", "--virtual-time-budget=60000", "--dump-dom"]
    shown = subprocess.run([CHROMIUM, *flags, address], capture_output=True, text=True, timeout=300, check=True)
    return shown.stdout


def home_of(client):
    return client.get_experiment_by_name("off-clip")


def named(client, name: str):
    return next(run for run in client.search_runs([home_of(client).experiment_id]) if run.info.run_name == name)


def test_the_runs_are_listed_by_their_labels(served, tmp_path):
    address, client = served
    text = page(f"{address}/#/experiments/{home_of(client).experiment_id}/runs", tmp_path)
    for name in ("OFF-CLIP", "CARZero", "CARZero + filter", "Reports and tables"):
        assert f">{name}<" in text


def test_a_training_curve_is_drawn(served, tmp_path):
    address, client = served
    run = named(client, "OFF-CLIP, seed 0").info
    asked = {"runs": [run.run_id], "metric": "training/loss", "plot_metric_keys": ["training/loss"]}
    asked["experiments"] = [run.experiment_id]
    query = "&".join(f"{key}={urllib.parse.quote(json.dumps(value))}" for key, value in asked.items())
    text = page(f"{address}/#/metric?{query}", tmp_path)
    assert 'class="main-svg"' in text
    assert "scatterlayer" in text


def test_an_artifact_opens(served, tmp_path):
    address, client = served
    run = named(client, "Reports and tables").info
    text = page(f"{address}/#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts/tables/main.md", tmp_path)
    assert "PHANTOM. Main result" in text

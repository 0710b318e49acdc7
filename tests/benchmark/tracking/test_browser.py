"""What a person sees in MLflow: runs listed, a chart drawn, an artifact opened, in a real headless Chromium."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest

from benchmark.tracking import store, track
from tests import serving
from tests.repository import REPOSITORY

mlflow = pytest.importorskip("mlflow")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
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
    command = [sys.executable, "-m", "benchmark", "ui", "--port"]
    environment = {**store.environment(), "PYTHONPATH": str(REPOSITORY)}
    with serving.served(lambda port: [*command, str(port)], root, environment) as address:
        yield address, mlflow.MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")


def page(address: str, profile: Path) -> str:
    """The page's document after its scripts ran, as text."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={profile}"]
    flags += ["--window-size=1600,1200", "--virtual-time-budget=60000", "--dump-dom"]
    shown = subprocess.run([CHROMIUM, *flags, address], capture_output=True, text=True, timeout=900, check=True)
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

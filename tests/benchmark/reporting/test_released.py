"""Systems from a checkpoint are measured, reported and tracked like the others, and never said to be trained here."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from pypdf import PdfReader

from benchmark.pipeline import layout
from benchmark.reporting import report
from benchmark.tracking import track
from tests.benchmark import measured_run


def through(root: Path, monkeypatch: pytest.MonkeyPatch, **chosen: object) -> str:
    """Measure, report and track below ``root``; the first page's text with single spaces."""
    measured_run.write(root, images=80, replicates=20, seeds=(0,), **chosen)
    monkeypatch.chdir(root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    report.run()
    track.run()
    return re.sub(r"\s+", " ", PdfReader(layout.REPORTS / "comparison.pdf").pages[0].extract_text())


def tracked_systems() -> set[str]:
    mlflow = pytest.importorskip("mlflow")
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{Path('mlflow.db').resolve()}")
    home = client.get_experiment_by_name("off-clip")
    runs = client.search_runs([home.experiment_id])
    assert all(run.data.tags["logged"] == "yes" for run in runs)
    return {run.data.tags["system"] for run in runs if run.data.tags["kind"] == "seed"}


def measured() -> dict[str, list[float]]:
    """System -> the shares of the budget at which it was measured."""
    table = pd.read_csv(layout.RESULTS / "auc.csv")
    return {str(name): sorted(rows["progress"].unique()) for name, rows in table.groupby("system")}


def test_trained_and_released_systems_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = through(tmp_path, monkeypatch, systems=("carzero", "offclip", "theirs"), ablation=(), released=("theirs",))
    assert measured() == {"carzero": [0.25, 0.5, 1.0], "offclip": [0.25, 0.5, 1.0], "theirs": [1.0]}
    assert "CARZero and OFF-CLIP were trained from 1 seed under one budget of 2 TFLOP." in page
    assert "Every trained run spent the budget within one step." in page
    assert "theirs (released) was not trained here" in page
    assert "Every system was trained" not in page
    assert tracked_systems() == {"carzero", "offclip", "theirs"}


def test_released_systems_are_compared_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = ("carzero", "offclip")
    page = through(tmp_path, monkeypatch, systems=both, ablation=(), released=both)
    assert measured() == {"carzero": [1.0], "offclip": [1.0]}
    assert "Nothing was trained here: there is no budget and no training seed." in page
    assert "1 OFF-CLIP (released) 0." in page
    assert "2 CARZero (released) 0." in page
    assert "under one budget" not in page
    assert "Under one training budget" not in page
    assert tracked_systems() == set(both)


def test_training_without_snapshots_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = through(tmp_path, monkeypatch, systems=("carzero", "offclip"), ablation=(), snapshots=())
    assert measured() == {"carzero": [1.0], "offclip": [1.0]}
    assert "Every system was trained from 1 seed under one budget" in page

"""MLflow holds every run once, from files alone; a lost store comes back, and no store fails nothing."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from benchmark.artifacts import evidence
from benchmark.common import files
from benchmark.pipeline import layout, settings
from benchmark.tracking import database, records, store, track
from benchmark.training import train
from tests.benchmark.training import workplace

mlflow = pytest.importorskip("mlflow")
SYSTEMS, SEEDS = 5, 10
RUNS = SYSTEMS + SEEDS + 1


@pytest.fixture(scope="module")
def tracked_once(reported_once, tmp_path_factory) -> Path:
    """A reported run that was tracked once; creating MLflow's database takes seconds, so it is copied."""
    root = tmp_path_factory.mktemp("tracked") / "work"
    shutil.copytree(reported_once, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        track.run()
    return root


@pytest.fixture
def tracked(tracked_once, tmp_path, monkeypatch) -> Path:
    """A copy of it as working directory; its database is migrated already."""
    root = tmp_path / "work"
    shutil.copytree(tracked_once, root)
    monkeypatch.chdir(root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    database.bring_home(f"sqlite:///{root / 'mlflow.db'}", "off-clip")
    return root


def client(root: Path):
    return mlflow.MlflowClient(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")


def logged(root: Path, **tags):
    held = client(root)
    home = held.get_experiment_by_name("off-clip")
    runs = held.search_runs([home.experiment_id], max_results=1000)
    return [run for run in runs if all(run.data.tags.get(key) == value for key, value in tags.items())]


def test_a_run_per_system_with_its_seeds_below_it(tracked_once):
    parents = {run.info.run_id: run for run in logged(tracked_once, kind="system")}
    seeds = logged(tracked_once, kind="seed")
    assert {run.data.tags["system"] for run in parents.values()} == {
        "clip", "carzero", "offclip", "carzero_filter", "offclip_nofilter"
    }  # fmt: skip
    assert len(seeds) == SEEDS
    for run in seeds:
        parent = parents[run.data.tags["mlflow.parentRunId"]]
        assert parent.data.tags["system"] == run.data.tags["system"]
    assert {run.data.tags["cohort"] for run in logged(tracked_once)} == {"PHANTOM"}


def test_metrics_are_the_measured_numbers_with_their_bounds(tracked_once):
    auc = evidence.Results(tracked_once / layout.RESULTS)["auc"]
    chosen = auc[(auc.system == "offclip") & (auc.seed == "1") & (auc.dataset == "open_i") & (auc.finding == "")]
    row = chosen[(chosen.quantity == "normal_auc") & (chosen.score == "prompt") & (chosen.progress == 1)].iloc[0]
    run = logged(tracked_once, system="offclip", seed="1")[0]
    assert run.data.metrics["open_i/normal_auc"] == row.estimate
    assert run.data.metrics["open_i detail/normal_auc_low"] == row.low
    assert run.data.metrics["open_i detail/normal_auc_high"] == row.high
    each = [run.data.metrics[f"{dataset}/normal_auc"] for dataset in layout.EVALUATION_DATASETS]
    assert run.data.metrics["all/normal_auc"] == pytest.approx(sum(each) / 4, abs=1e-12)
    assert run.data.metrics["ledger/flops"] == 2e12
    assert run.data.params["objective"] == "off_clip"


def test_charts_open_on_few_numbers_and_the_newest_run_is_the_method(tracked_once):
    systems = [run for run in logged(tracked_once) if run.data.tags["kind"] != "seed"]
    assert [run.data.tags.get("system") for run in systems] == [
        "offclip", "carzero", "clip", "carzero_filter", "offclip_nofilter", None
    ]  # fmt: skip
    assert all(run.info.end_time / 1000 < time.time() for run in systems)
    sections = Counter(name.rpartition("/")[0] for name in systems[0].data.metrics)
    assert set(sections) == {
        "all", "all detail", "budget", *layout.EVALUATION_DATASETS,
        *(f"{dataset} detail" for dataset in layout.EVALUATION_DATASETS),
    }  # fmt: skip
    assert max(sections[name] for name in ("all", *layout.EVALUATION_DATASETS)) <= 6
    assert {name.rpartition("/")[0] for name in systems[-1].data.metrics} == {"offclip minus carzero"}


def test_curves_are_whole_and_datasets_carry_the_fingerprint(tracked_once):
    run = logged(tracked_once, system="clip", seed="0")[0]
    history = client(tracked_once).get_metric_history(run.info.run_id, "training/loss")
    assert [point.step for point in history] == list(range(1, 21))
    used = {use.dataset.name: use.dataset.digest for use in run.inputs.dataset_inputs}
    assert used == {name: f"cohort-{name}" for name in layout.DATASETS}


def test_reports_and_ledgers_are_attached(tracked_once):
    held = client(tracked_once)
    report = logged(tracked_once, kind="report")[0].info.run_id
    assert {f.path for f in held.list_artifacts(report, "reports")} == {
        "reports/comparison.pdf", "reports/ablation.pdf", "reports/metrics.json"
    }  # fmt: skip
    assert "figures/roc.svg" in {f.path for f in held.list_artifacts(report, "figures")}
    seed = logged(tracked_once, system="clip", seed="0")[0].info.run_id
    assert "ledger/ledger.json" in {f.path for f in held.list_artifacts(seed, "ledger")}
    assert "tables/per_finding_auc.csv" in {f.path for f in held.list_artifacts(seed, "tables")}


def test_running_again_adds_nothing_and_changes_nothing(tracked):
    def content() -> list[tuple]:
        with sqlite3.connect(tracked / "mlflow.db") as held:
            tables = ("runs", "metrics", "params", "tags", "inputs")
            return [tuple(sorted(map(repr, held.execute(f"SELECT * FROM {name}")))) for name in tables]

    before, listed = content(), layout.TRACKED.read_bytes()
    track.run()
    assert content() == before
    assert layout.TRACKED.read_bytes() == listed


def test_a_lost_run_comes_back_and_a_half_written_one_is_logged_anew(tracked):
    held = client(tracked)
    lost = logged(tracked, system="clip", seed="0")[0].info.run_id
    half = logged(tracked, system="clip", seed="1")[0].info.run_id
    held.delete_run(lost)
    held.delete_tag(half, "logged")
    track.run()
    assert len(logged(tracked)) == RUNS
    assert len(logged(tracked, system="clip", seed="0")) == len(logged(tracked, system="clip", seed="1")) == 1
    assert {lost, half}.isdisjoint(run.info.run_id for run in logged(tracked))


def test_new_results_are_new_runs_beside_the_old(tracked):
    path = layout.run("clip", 0) / "ledger.json"
    files.write_json(path, files.read_json(path) | {"steps": 21})
    track.run()
    assert len(logged(tracked, system="clip")) == 2 * (1 + 2)
    assert len(logged(tracked)) == RUNS + 1 + 2


def test_an_unreachable_store_fails_nothing_and_the_next_run_logs(tracked, monkeypatch, capsys):
    listed = layout.TRACKED.read_bytes()
    layout.TRACKED.unlink()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    track.run()
    said = capsys.readouterr().err
    assert said.count("not logged:") == RUNS
    assert "when the store can be reached" in said
    assert layout.TRACKED.read_bytes() == listed
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    track.run()
    assert f"0 runs logged, {RUNS} were there" in capsys.readouterr().err


def test_killed_while_the_database_is_made_there_is_none_and_the_next_run_makes_it(tmp_path):
    """MLflow makes its tables one by one, and would refuse a database that has half of them for ever."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    code = "import sys; from benchmark.tracking import store; store.open_experiment(sys.argv[1], 'x', '', '')"
    making = subprocess.Popen([sys.executable, "-c", code, uri])
    while not any(half.stat().st_size for half in tmp_path.glob(".mlflow.db.*.part/mlflow.db")):
        assert making.poll() is None
    making.kill()
    making.wait()
    assert not (tmp_path / "mlflow.db").exists()
    assert store.open_experiment(uri, "x", "", "")[1].name == "x"
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def places(root: Path) -> set[str]:
    """Where a database says that its runs' files lie."""
    held = client(root)
    home = held.get_experiment_by_name("off-clip")
    runs = held.search_runs([home.experiment_id], max_results=1000)
    return {home.artifact_location, *(run.info.artifact_uri for run in runs)}


def test_a_copied_repository_tracks_into_its_own_files(tracked, tmp_path, monkeypatch, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(tracked, copy)
    before = sorted(path for path in (tracked / "mlartifacts").rglob("*"))
    monkeypatch.chdir(copy)
    ledger = layout.run("clip", 0) / "ledger.json"
    files.write_json(ledger, files.read_json(ledger) | {"hardware": "another machine"})  # something to log anew
    track.run()
    assert "mlflow.db came here from" in capsys.readouterr().err
    assert sorted(path for path in (tracked / "mlartifacts").rglob("*")) == before
    assert all(place.startswith(copy.as_uri() + "/mlartifacts/off-clip") for place in places(copy))
    run = max(logged(copy, system="clip", seed="0"), key=lambda found: found.info.start_time)
    attached = Path(run.info.artifact_uri.removeprefix("file://")) / "ledger/ledger.json"
    assert files.read_json(attached)["hardware"] == "another machine"
    track.run()
    assert "came here" not in capsys.readouterr().err


def test_a_database_that_was_copied_without_its_files_says_so(tracked, tmp_path, monkeypatch, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(tracked, copy, ignore=shutil.ignore_patterns("mlartifacts"))
    monkeypatch.chdir(copy)
    track.run()
    assert (
        "mlflow.db came here without mlartifacts/: copy that folder too, or delete mlflow.db" in capsys.readouterr().err
    )
    assert not (copy / "mlartifacts").exists()
    assert not any(place.startswith(copy.as_uri()) for place in places(copy))


def test_the_pages_open_on_training_runs(tracked):
    home = client(tracked).get_experiment_by_name("off-clip").experiment_id
    uri = f"sqlite:///{tracked / 'mlflow.db'}"
    assert store.page(uri, "off-clip") == f"/#/experiments/{home}/runs?workflowType=machine_learning"
    assert store.page(uri, "another") == ""
    (tracked / "mlflow.db").write_text("no database")
    assert store.page(uri, "off-clip") == ""


def test_the_environment_names_the_store_and_a_relative_sqlite_path_becomes_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store.tracking_uri("sqlite:///mlflow.db") == f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert store.tracking_uri(f"sqlite:///{tmp_path / 'x.db'}") == f"sqlite:///{tmp_path / 'x.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert store.tracking_uri("sqlite:///mlflow.db") == "http://server:5000"


def test_the_hash_of_a_record_is_that_of_its_content(reported):
    first = records.collect(evidence.load(settings.load()))
    again = records.collect(evidence.load(settings.load()))
    assert records.listing("e", first) == records.listing("e", again)
    changed = layout.scores("offclip", 0) / "score.json"
    files.write_json(changed, files.read_json(changed) | {"code_hash": "other"})
    after = records.collect(evidence.load(settings.load()))
    differing = [a.name for a, b in zip(first, after, strict=True) if a.content_hash != b.content_hash]
    assert differing == ["OFF-CLIP"]


def test_large_weights_are_named_and_not_copied(reported, monkeypatch):
    """A store gets where they lie, their size and hash; small ones are attached."""
    model = layout.run("clip", 0) / "model.safetensors"
    model.write_bytes(b"x" * 1000)
    found = evidence.load(settings.load())

    def attached() -> records.Artifact:
        clip = next(record for record in records.collect(found) if record.tags.get("system") == "clip")
        (weights,) = [a for a in clip.children[0].artifacts if a.place.startswith("model")]
        return weights

    assert attached().source == model
    monkeypatch.setattr(records, "LARGE", 999)
    reference = json.loads(attached().source)
    assert (reference["path"], reference["bytes"]) == ("runs/clip-0/model.safetensors", 1000)
    assert reference["sha256"] == found.runs_of("clip")[0].ledger["weights_hash"]


def dvc(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *words, "--quiet"], check=True, capture_output=True)


def bytes_below(*folders: Path) -> int:
    """Of distinct files: one with many names counts once."""
    states = [path.stat() for folder in folders for path in folder.rglob("*") if path.is_file()]
    return sum({(state.st_dev, state.st_ino): state.st_size for state in states}.values())


@pytest.mark.slow
def test_a_run_takes_at_most_1_3_sets_of_weights_where_dvc_links(tracked, tmp_path, monkeypatch):
    """A run in runs/, in DVC's cache and in MLflow, all copies together, its two snapshots among them."""
    values = workplace.params(training={"snapshot_weights": "compact"}, budget={"amount": 48})
    values["encoders"] = {
        "image": {"kind": "conv", "width": 8, "dim": 384},
        "text": {"kind": "words", "dim": 384, "layers": 2},
    }
    workplace.write(tmp_path / "trained", values)
    with monkeypatch.context() as there:
        there.chdir(tmp_path / "trained")
        train.run("clip", 0)
    run = layout.run("clip", 0)
    shutil.rmtree(run)
    (tmp_path / "trained" / run).rename(run)
    weights = (run / "model.safetensors").stat().st_size
    assert weights > records.LARGE
    assert {path.name for path in run.glob("snapshot-*")} == {"snapshot-25.parquet", "snapshot-50.parquet"}

    dvc("init", "--no-scm")
    dvc("config", "cache.type", "hardlink")
    dvc("add", str(run))
    track.run()

    newest = max(logged(tracked, kind="seed", system="clip", seed="0"), key=lambda found: found.info.start_time)
    attached = Path(newest.info.artifact_uri.removeprefix("file://"))
    assert json.loads((attached / "model/reference.json").read_text())["bytes"] == weights
    assert bytes_below(Path(".dvc/cache")) > weights
    assert bytes_below(run, Path(".dvc/cache"), attached) <= 1.3 * weights

"""Where runs are recorded: MLflow's store, its experiment, and the local database that must not be left half made."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.common import files

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

LOCK_SECONDS = 5.0
"""How long a database that another process writes to is waited for."""
BATCH = 1000
"""Metrics that MLflow takes in one call."""
ARTIFACTS = Path("mlartifacts")
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""Nothing is reported to anybody, and an unreachable server is given up soon; the environment wins."""
SQLITE = "sqlite:///"


def tracking_uri(configured: str) -> str:
    """The store's URI: the environment's wins; a relative SQLite path becomes absolute."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or configured
    path = uri.removeprefix(SQLITE)
    return SQLITE + str(Path(path).resolve()) if path != uri else uri


def environment() -> dict[str, str]:
    """The process's environment with MLflow's quiet defaults under it."""
    return {**QUIET, **os.environ}


def page(uri: str, experiment: str) -> str:
    """The path of an experiment's training runs on MLflow's pages, which open on language models' traces otherwise.

    Empty where the store has no such experiment, or cannot be read now: the pages say why.
    """
    from mlflow import MlflowClient

    os.environ.update(environment())
    try:
        _check_database(uri)
        home = MlflowClient(tracking_uri=uri).get_experiment_by_name(experiment)
    except Exception:
        return ""
    return f"/#/experiments/{home.experiment_id}/runs?workflowType=machine_learning" if home else ""


def _local(uri: str) -> Path | None:
    """The file of a SQLite store; None for any other."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def _check_database(uri: str) -> None:
    """Ask a local database whether it can be written to: MLflow would ask a locked or broken one for minutes.

    Raises:
        sqlite3.Error: it is locked, or no database.
    """
    path = _local(uri)
    if path and path.exists():
        with closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as held:
            held.execute("BEGIN IMMEDIATE")
            held.execute("ROLLBACK")


def _make_database(uri: str) -> None:
    """Make a local database that is missing, all its tables or none.

    MLflow makes them one by one and cannot complete a half-made database: killed in between, it would refuse it always.
    """
    from mlflow import MlflowClient

    path = _local(uri)
    if path is None or path.exists():
        return
    files.sweep([path.parent])
    place = files.temporary(path)
    place.mkdir(parents=True)  # a folder, for SQLite keeps a journal beside a database
    try:
        MlflowClient(tracking_uri=f"{SQLITE}{place / path.name}").search_experiments(max_results=1)
        if not path.exists():  # another process, of a job array for example, may have been quicker
            os.replace(place / path.name, path)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def open_experiment(uri: str, experiment: str, cohort: str, note: str) -> tuple[MlflowClient, Experiment]:
    """A store's client and an experiment in it, made where it is missing.

    Args:
        uri: MLflow tracking URI.
        experiment: its name.
        cohort: tag that says whether anything in it is the phantom.
        note: Markdown that MLflow shows above its runs.

    Raises:
        Exception: MLflow's, SQLAlchemy's, requests' or the file system's, where there is no store.
    """
    os.environ.update(environment())
    from mlflow import MlflowClient

    _check_database(uri)
    for chatty in ("mlflow.store.db.utils", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    _make_database(uri)
    client = MlflowClient(tracking_uri=uri)
    home = client.get_experiment_by_name(experiment) or _make(client, uri, experiment, cohort, note)
    if home.lifecycle_stage != "active":
        raise RuntimeError(
            f"the experiment '{experiment}' was deleted there; restore it or name another in params.yaml"
        )
    return client, home


def _make(client: MlflowClient, uri: str, experiment: str, cohort: str, note: str) -> Experiment:
    from mlflow.exceptions import MlflowException

    # A server keeps artifacts where it was told to; beside a local database they stay in the repository.
    place = (ARTIFACTS / experiment).resolve().as_uri() if uri.startswith("sqlite:") else None
    described = {"cohort": cohort, "mlflow.note.content": note}
    try:
        return client.get_experiment(client.create_experiment(experiment, artifact_location=place, tags=described))
    except MlflowException:
        made = client.get_experiment_by_name(experiment)  # by another process just now, of a job array for example
        if made is None:
            raise
        return made


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Parts of at most ``size``, in order."""
    for start in range(0, len(items), size):
        yield items[start : start + size]

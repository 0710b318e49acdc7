"""Where runs are recorded: MLflow's store, its experiment, and the local database that must not be left half made."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.tracking import database

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

BATCH = 1000
"""Metrics that MLflow takes in one call."""
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
"""Nothing is reported to anybody, an unreachable server is given up soon, and a server that only shows pages starts no
processes for jobs of language models (eight, of 240 MB each); the environment wins."""


def tracking_uri(configured: str) -> str:
    """The store's URI: the environment's wins; a relative SQLite path becomes absolute."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or configured
    path = uri.removeprefix(database.SQLITE)
    return database.SQLITE + str(Path(path).resolve()) if path != uri else uri


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
        database.check(uri)
        home = MlflowClient(tracking_uri=uri).get_experiment_by_name(experiment)
    except Exception:
        return ""
    return f"/#/experiments/{home.experiment_id}/runs?workflowType=machine_learning" if home else ""


def open_experiment(uri: str, experiment: str, cohort: str, note: str) -> tuple[MlflowClient, Experiment]:
    """A store's client and an experiment in it, made where it is missing.

    Args:
        uri: MLflow tracking URI.
        experiment: its name.
        cohort: tag that says whether anything in it is the phantom.
        note: Markdown that MLflow shows above its runs.

    Raises:
        Exception: MLflow's, SQLAlchemy's, requests' or the file system's, where there is no store; RuntimeError where
            the experiment was deleted there, or the database was copied without the files of its runs.
    """
    os.environ.update(environment())
    from mlflow import MlflowClient

    database.check(uri)
    for chatty in ("mlflow.store.db.utils", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    database.make(uri)
    client = MlflowClient(tracking_uri=uri)
    database.bring_home(uri, experiment)
    home = client.get_experiment_by_name(experiment) or _make(client, uri, experiment, cohort, note)
    if home.lifecycle_stage != "active":
        raise RuntimeError(
            f"the experiment '{experiment}' was deleted there; restore it or name another in params.yaml"
        )
    return client, home


def _make(client: MlflowClient, uri: str, experiment: str, cohort: str, note: str) -> Experiment:
    from mlflow.exceptions import MlflowException

    # A server keeps artifacts where it was told to; beside a local database they stay in the repository.
    place = (database.ARTIFACTS / experiment).resolve().as_uri() if uri.startswith("sqlite:") else None
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

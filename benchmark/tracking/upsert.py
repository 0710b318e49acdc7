"""Records into an MLflow store: create what is missing, leave alone what is there.

A run is found by the tag ``content_hash``; the tag ``logged`` is written last, so that a run left
half written by a lost connection is known, removed and logged again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.common.errors import one_line
from benchmark.common.progress import with_progress
from benchmark.tracking.records import Artifact, DatasetUse, Record
from benchmark.tracking.store import BATCH, chunks, open_experiment

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

HASH, LOGGED = "content_hash", "logged"


@dataclass
class Outcome:
    """What happened to the records."""

    created: int = 0
    present: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    """(run, reason)."""


class _Clock:
    """Start times in the order of logging, so that MLflow's list of newest first is the records' order reversed.

    A run's duration is the device time it spent, so all runs start as long ago as the longest of them took.
    """

    def __init__(self, wanted: Sequence[Record]) -> None:
        longest = max((record.seconds for record in wanted), default=0.0)
        self._milliseconds = int((time.time() - longest) * 1000)

    def next_start(self) -> int:
        """Milliseconds since 1970, one more than the last."""
        self._milliseconds += 1
        return self._milliseconds


def upsert(wanted: Sequence[Record], uri: str, experiment: str, tags: Mapping[str, str]) -> Outcome:
    """Log the records that the store lacks.

    Args:
        wanted: parents with their children.
        uri: MLflow tracking URI.
        experiment: name of the experiment, created where missing.
        tags: tags of every run that are not part of its content (commit, dvc_lock, cohort).

    Returns:
        Counts, and for whatever could not be logged the reason in one line; nothing is raised for a
        store that cannot be reached.
    """
    outcome = Outcome()
    names = [name for record in wanted for name in (record.name, *(c.name for c in record.children))]
    try:
        client, home = open_experiment(uri, experiment, tags.get("cohort", ""), _note(tags))
        known = _known(client, home.experiment_id)
    except Exception as error:
        # MLflow raises its own, SQLAlchemy's, requests' and the file system's errors: all mean "no store".
        outcome.failed = [(name, one_line(error)) for name in names]
        return outcome
    clock = _Clock(wanted)
    for record in with_progress(list(wanted), "logging to MLflow"):
        parent = _ensure(client, home, record, record.content_hash, tags, known, outcome, clock, parent=None)
        for child in reversed(record.children):
            if parent is None:
                outcome.failed.append((child.name, f"its parent {record.name} was not logged"))
            else:
                _ensure(client, home, child, record.child_key(child), tags, known, outcome, clock, parent=parent)
    return outcome


def _note(tags: Mapping[str, str]) -> str:
    return (
        f"{tags.get('cohort', '')}. A run per system with its seeds below it; metrics of a system are means over "
        "seeds with bootstrap intervals (`_low`, `_high`). `Reports and tables` holds the PDFs."
    )


def _known(client: MlflowClient, experiment_id: str) -> dict[str, tuple[str, bool]]:
    """Content hash to (run id, fully logged) of every active run."""
    known: dict[str, tuple[str, bool]] = {}
    token = None
    while True:
        page = client.search_runs([experiment_id], max_results=1000, page_token=token)
        for run in page:
            if HASH in run.data.tags:
                known[run.data.tags[HASH]] = (run.info.run_id, run.data.tags.get(LOGGED) == "yes")
        token = page.token
        if not token:
            return known


def _ensure(
    client: MlflowClient,
    home: Experiment,
    record: Record,
    key: str,
    tags: Mapping[str, str],
    known: Mapping[str, tuple[str, bool]],
    outcome: Outcome,
    clock: _Clock,
    parent: str | None,
) -> str | None:
    """The id of the record's run, logged now where it was missing; None where that failed."""
    run_id, complete = known.get(key, ("", False))
    if complete:
        outcome.present += 1
        return run_id
    try:
        if run_id:
            client.delete_run(run_id)
        run_id = _create(client, home, record, {**record.tags, **tags, HASH: key}, clock, parent)
    except Exception as error:
        outcome.failed.append((record.name, one_line(error)))
        return None
    outcome.created += 1
    return run_id


def _create(
    client: MlflowClient, home: Experiment, record: Record, tags: Mapping[str, str], clock: _Clock, parent: str | None
) -> str:
    from mlflow.entities import Metric, Param, RunTag

    start = clock.next_start()
    now = start + int(record.seconds * 1000)
    family = {"mlflow.parentRunId": parent} if parent else {}
    run = client.create_run(
        home.experiment_id, start, run_name=record.name, tags={**tags, **family, "kind": record.kind}
    )
    run_id = run.info.run_id
    metrics = [Metric(name, value, now, 0) for name, value in record.metrics.items()]
    metrics += [Metric(name, value, now, step) for name, points in record.curves.items() for step, value in points]
    client.log_batch(run_id, params=[Param(k, v) for k, v in record.params.items()])
    for part in chunks(metrics, BATCH):
        client.log_batch(run_id, metrics=part)
    if record.datasets:
        client.log_inputs(run_id, datasets=[_input(use) for use in record.datasets])
    for artifact in record.artifacts:
        _attach(client, run_id, artifact)
    client.log_batch(run_id, tags=[RunTag(LOGGED, "yes")])
    client.set_terminated(run_id, "FINISHED", now)
    return run_id


def _attach(client: MlflowClient, run_id: str, artifact: Artifact) -> None:
    if isinstance(artifact.source, Path):
        client.log_artifact(run_id, str(artifact.source), artifact.place)
    else:
        client.log_text(run_id, artifact.source, artifact.place)


def _input(use: DatasetUse) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    files_source = f'{{"uri": "{use.source}"}}'
    dataset = Dataset(
        name=use.name,
        digest=use.fingerprint[:36],
        source_type="local",
        source=files_source,
        profile=f'{{"num_rows": {use.images}}}',
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", use.context)])

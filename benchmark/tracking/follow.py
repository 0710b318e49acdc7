"""``python -m benchmark.tracking.follow``: the process that logs a training's points; live.py starts it.

Standard input: a line of JSON that says whose curves follow, a line a point, and how the training ended. Without that
last line the training was killed, and its run says so. Standard output: where a server shows the run, or why there is
none, a sentence each.
The runs lie in an experiment of their own: the record that ``track`` makes of a whole run stays the only truth.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from benchmark.common.errors import one_line

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEY = "training"
"""Tag that finds a training's run again."""
SUFFIX = " (live)"
"""Of the experiment's name."""
PAUSE_SECONDS = 60.0
"""Before a store that failed is asked again."""
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
"""Shorter than the store's own, for a training waits at its end; the environment wins."""
CREDENTIALS = re.compile(r"(?<=//)[^/@\s]+@")
"""Of a URI such as https://user:password@server."""
Message = dict[str, Any]


class LiveRun:
    """A training's run in the store: found by its key, or made."""

    def __init__(self, subject: Message) -> None:
        from benchmark.artifacts.evidence import PHANTOM
        from benchmark.pipeline import settings
        from benchmark.tracking import store

        configured = settings.load()
        cohort = PHANTOM if configured.is_phantom else "published"
        note = f"{cohort}. Trainings as they run. What counts is in the experiment {configured.tracking.experiment}."
        uri = store.tracking_uri(configured.tracking.uri)
        self._client, home = store.open_experiment(uri, configured.tracking.experiment + SUFFIX, cohort, note)
        system, seed = subject["system"], subject["seed"]
        tags = {KEY: subject["key"], "system": system, "seed": str(seed), "cohort": cohort, "kind": "live"}
        name = f"{configured.systems[system].label}, seed {seed}"
        self._id, self._reached = _resume(self._client, home.experiment_id, subject["key"]) or (
            _create(self._client, home.experiment_id, name, tags, subject["params"]),
            0,
        )
        if uri.startswith(("http://", "https://")):
            page = f"{uri.rstrip('/')}/#/experiments/{home.experiment_id}/runs/{self._id}/model-metrics"
            _say(f"the curves of {name}: {page}")

    def log(self, points: Iterable[Message]) -> None:
        """Add points; those of steps that were logged before an interruption are there already."""
        from mlflow.entities import Metric

        from benchmark.tracking import store

        metrics = [
            Metric(name, value, point["milliseconds"], point["step"])
            for point in points
            if point["step"] > self._reached
            for name, value in point["metrics"].items()
        ]
        for part in store.chunks(metrics, store.BATCH):
            self._client.log_batch(self._id, metrics=part, synchronous=True)

    def end(self, status: str) -> None:
        """FINISHED, FAILED or KILLED."""
        self._client.set_terminated(self._id, status)


def _create(client: MlflowClient, experiment: str, name: str, tags: Message, params: Message) -> str:
    from mlflow.entities import Param

    run_id: str = client.create_run(experiment, run_name=name, tags=tags).info.run_id
    client.log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()], synchronous=True)
    return run_id


def _resume(client: MlflowClient, experiment: str, key: str) -> tuple[str, int] | None:
    """The newest run of a training that did not come to its end, set running again, and its last step."""
    found = client.search_runs([experiment], f"tags.{KEY} = '{key}'", order_by=["attributes.start_time DESC"])
    if not found or found[0].info.status == "FINISHED":
        return None
    run_id = found[0].info.run_id
    client.update_run(run_id, status="RUNNING")
    return run_id, max((point.step for point in client.get_metric_history(run_id, "training/loss")), default=0)


def follow(inbox: SimpleQueue[Message]) -> None:
    """Log what comes until a message with a status; say once why that fails."""
    subject, points, status = inbox.get(), [], None
    run: LiveRun | None = None
    ask_again, said = 0.0, False
    while status is None:
        arrived = [inbox.get()] if run or said else []
        while not inbox.empty():
            arrived.append(inbox.get())
        points += [message for message in arrived if "step" in message]
        status = next((message["status"] for message in arrived if "status" in message), None)
        if time.monotonic() < ask_again:
            continue
        try:
            run = run or LiveRun(subject)
            run.log(points)
            points = []
            if status:
                run.end(status)
        except Exception as error:
            # MLflow raises its own, SQLAlchemy's, requests' and the file system's errors: all mean "no store".
            ask_again = time.monotonic() + PAUSE_SECONDS
            if not said:
                _say(f"no live curves; training continues without them: {one_line(error)}")
            said = True


def _say(sentence: str) -> None:
    """To the training, which prints it."""
    print(CREDENTIALS.sub("", sentence), file=sys.__stdout__, flush=True)


def _read(inbox: SimpleQueue[Message]) -> None:
    """Empty the pipe as it fills, so that the training's writes never find it full."""
    for line in sys.stdin:
        inbox.put(json.loads(line))
    inbox.put({"status": "KILLED"})  # the second status of a training that ended by itself is not read


def main() -> None:
    """Follow one training."""
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the training, whose end is awaited
        signal.signal(number, signal.SIG_IGN)
    os.nice(5)  # the training goes first, but where it takes every core, less than this would never be served
    os.environ.update({**PATIENCE, **os.environ})
    sys.stdout = sys.stderr  # MLflow prints where a run is to be seen when it ends
    inbox: SimpleQueue[Message] = SimpleQueue()
    threading.Thread(target=_read, args=(inbox,), daemon=True).start()
    follow(inbox)


if __name__ == "__main__":
    main()

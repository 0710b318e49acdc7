"""Stage ``track``: every run, its curves, metrics and files in MLflow, from the files of the pipeline.

The stage always runs, because a stage that DVC restores from its cache repeats no side effect. It
creates what a store lacks and changes nothing that is there; an unreachable store fails nothing.
MLflow is imported below this package alone. live.py and follow.py show a training while it runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from benchmark.common import files
from benchmark.common.progress import say
from benchmark.pipeline import layout, settings

GRACE_SECONDS = 5.0
"""How long MLflow's processes may take to end by themselves."""


def run() -> None:
    """Upsert every run; write tracked.json (which runs there are, by content hash).

    Raises:
        UserError: nothing was measured yet.
    """
    from benchmark.artifacts import evidence
    from benchmark.pipeline import provenance
    from benchmark.tracking import records, store
    from benchmark.tracking.upsert import upsert

    configured = settings.load()
    found = evidence.load(configured)
    wanted = records.collect(found)
    tags = {
        "cohort": found.mark or "published",
        "commit": provenance.commit(),
        "dvc_lock": provenance.lock_hash(),
        "mlflow.source.name": "dvc repro",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": provenance.commit().partition("+")[0],
    }
    uri = store.tracking_uri(configured.tracking.uri)
    outcome = upsert(wanted, uri, configured.tracking.experiment, tags)
    files.write_json(layout.TRACKED, records.listing(configured.tracking.experiment, wanted))
    say(f"MLflow at {uri}: {outcome.created} runs logged, {outcome.present} were there.")
    for name, reason in outcome.failed:
        say(f"not logged: {name}: {reason}")
    if outcome.failed:
        say("The results are complete without it; run `python -m benchmark track` when the store can be reached.")


def ui(port: int = 5000) -> int:
    """Serve MLflow's pages for the same store until interrupted; return the exit status."""
    from benchmark.tracking import store

    chosen = settings.load().tracking
    uri = store.tracking_uri(chosen.uri)
    if uri.startswith(("http://", "https://")):
        say(f"The runs are on the server {uri}; open that address, experiment '{chosen.experiment}'.")
        return 0
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", uri, "--port", str(port), "--workers", "1"]
    say(f"MLflow on http://127.0.0.1:{port}{store.page(uri, chosen.experiment)} (Ctrl-C ends it)")
    return _until_ended(command, store.environment())


def _until_ended(command: list[str], environment: dict[str, str]) -> int:
    """Run a server that starts processes of its own; end all of them when it, or this process, is asked to end.

    Returns:
        The server's exit status; 0 where it was ended from here.
    """

    def asked(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    server = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        for number in before:  # a second Ctrl-C must not leave half of them behind
            signal.signal(number, signal.SIG_IGN)
        _end(server)
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(server: subprocess.Popen[bytes]) -> None:
    """End a server's whole process group, by force what does not end within ``GRACE_SECONDS``."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline and _group_lives(server):
            time.sleep(0.05)


def _group_lives(server: subprocess.Popen[bytes]) -> bool:
    """Whether any process of the server's group is left; its own end is taken note of."""
    server.poll()
    try:
        os.killpg(server.pid, 0)
    except ProcessLookupError:
        return False
    return True

"""A local MLflow database as a file: whether it can be written to, how it is made, and where its runs' files lie.

MLflow makes its tables one by one, waits minutes for a locked file, and writes absolute paths down.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from benchmark.common import files
from benchmark.common.progress import say

SQLITE = "sqlite:///"
LOCK_SECONDS = 5.0
"""How long a database that another process writes to is waited for."""
ARTIFACTS = Path("mlartifacts")
"""Files of the runs, beside the database."""


def file_of(uri: str) -> Path | None:
    """The file of a SQLite store; None for any other."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def check(uri: str) -> None:
    """Ask a local database whether it can be written to: MLflow would ask a locked or broken one for minutes.

    Raises:
        sqlite3.Error: it is locked, or no database.
    """
    path = file_of(uri)
    if path and path.exists():
        with closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as held:
            held.execute("BEGIN IMMEDIATE")
            held.execute("ROLLBACK")


def make(uri: str) -> None:
    """Make a local database that is missing, all its tables or none.

    MLflow makes them one by one and goes on from no half: killed in between, the database would be refused for ever.
    """
    from mlflow import MlflowClient

    path = file_of(uri)
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


def bring_home(uri: str, experiment: str) -> None:
    """Point a database that was moved or copied with its repository to the files that lie beside it now.

    MLflow writes absolute paths down: `track` in a copy would attach its files to the original's runs.

    Raises:
        RuntimeError: the files of the runs did not come along.
    """
    path, place = file_of(uri), ARTIFACTS / experiment
    if path is None or not path.exists() or path.parent.resolve() != Path.cwd():
        return
    now = place.resolve().as_uri()
    with closing(sqlite3.connect(path, timeout=LOCK_SECONDS)) as held:
        found = held.execute("SELECT artifact_location FROM experiments WHERE name = ?", (experiment,)).fetchone()
        before = str(found[0]) if found else now
        if before == now or not before.startswith("file:") or not before.endswith(_as_uri(place)):
            return  # its own, or a place that somebody chose
        if not place.is_dir():
            raise RuntimeError(
                f"{path.name} came here without {ARTIFACTS}/: copy that folder too, or delete {path.name} and run "
                f"`python -m benchmark track` (from {before})"
            )
        with held:  # one transaction
            held.execute("UPDATE experiments SET artifact_location = ? WHERE name = ?", (now, experiment))
            held.execute(
                "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, ?) WHERE substr(artifact_uri, 1, ?) = ?",
                (now, len(before) + 1, len(before) + 1, before + "/"),
            )
    say(f"{path.name} came here from {before.removeprefix('file://')}; its runs now point to {place}/.")


def _as_uri(place: Path) -> str:
    """The end of the URI of a relative path."""
    return Path("/", place).as_uri().removeprefix("file://")

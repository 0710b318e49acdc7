"""``make rehearsal``: doctor, plan, index, decode of a sample, captions and measure at the published number of rows.

Prints what each took beside what it may take; the exit status is 1 where one took more. Everything lies in
``.rehearsal/`` (about 3 GB) and is removed at the end; ``--keep`` leaves the trees for the next time.
"""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

from benchmark.common.progress import say
from benchmark.pipeline import layout
from tests.rehearsal.measuring import Limit, Measured, measured, table
from tests.repository import REPOSITORY

PLACE = REPOSITORY / ".rehearsal"
INDEX = Limit(60, 2)
CAPTIONS = Limit(600, 3)
SECONDS = Limit(60, 2)
"""What `dvc repro` or a person waits for each time."""
UNLIMITED = Limit()


def rehearse(place: Path) -> list[Measured]:
    """Lay everything out and run the stages, each as a process of its own."""
    work, scores = place / "work", place / "scores"
    rows: list[Measured] = []

    def stage(folder: Path, limit: Limit, *words: str) -> None:
        command = [sys.executable, "-m", "benchmark", *words]
        rows.append(measured(" ".join(words), command, folder, limit, {"PYTHONPATH": "", "NO_COLOR": "1"}))
        say(table(rows[-1:]).splitlines()[-1])

    def ready(what: str) -> None:
        command = [sys.executable, "-m", "tests.rehearsal.inputs", what, str(place)]
        made = measured(f"input {what}", command, place / "trees", UNLIMITED, {"PYTHONPATH": str(REPOSITORY)})
        if made.status:
            raise SystemExit((PLACE / f"input-{what}.log").read_text()[-2000:])
        say(f"laid out: {what} ({made.seconds:.0f} s)")

    ready("work")
    stage(work, SECONDS, "doctor")
    stage(work, SECONDS, "plan")
    for dataset in layout.DATASETS:
        stage(work, SECONDS, "raw", dataset)
        stage(work, INDEX, "index", dataset)
    ready("sample")
    for dataset in layout.DATASETS:
        stage(work, UNLIMITED, "decode", dataset)
    ready("reports")
    stage(work, CAPTIONS, "captions")
    ready("scores")
    shutil.copytree(work / "benchmark", scores / "benchmark")
    stage(scores, UNLIMITED, "measure")
    return rows


def main(keep: bool) -> int:
    """Rehearse, print the table; the exit status."""
    start = time.perf_counter()
    (PLACE / "trees").mkdir(parents=True, exist_ok=True)
    for made in ("work", "scores"):
        shutil.rmtree(PLACE / made, ignore_errors=True)
    rows = rehearse(PLACE)
    print(f"\n{table(rows)}\n\n{time.perf_counter() - start:.0f} s in all.", flush=True)
    if not keep and all(row.is_within for row in rows):
        shutil.rmtree(PLACE)
    return 0 if all(row.is_within for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main("--keep" in sys.argv[1:]))

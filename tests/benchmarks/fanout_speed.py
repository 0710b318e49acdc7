"""``python -m tests.benchmarks.fanout_speed DIR``: the trainings of one pipeline by `dvc repro` and by `fanout`, timed.

Both begin from copies of one folder in which everything before the trainings was made, with one thread a run; one after
the other, on a machine that does nothing else. Prints seconds and their ratio, and fails where the weights differ.
``--scale default`` is the embedded default (most of an hour on two cores), ``smoke`` tries the script.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmark.common import cpus, files
from benchmark.pipeline import layout, profiles, workspace
from tests.repository import REPOSITORY

ONE_THREAD = {"training": {"threads": 1}, "scoring": {"threads": 1}}


def command(folder: Path, *words: str) -> float:
    """Run a module of Python there; seconds."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": ""}
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", *words], cwd=folder, env=environment, check=True)
    return time.monotonic() - began


def weights(folder: Path) -> dict[str, str]:
    """File of a run -> its hash."""
    found = sorted((folder / "runs").glob("*/*.safetensors"))
    return {path.relative_to(folder).as_posix(): files.sha256_file(path) for path in found}


def main() -> int:
    """Print the comparison; 1 where the weights differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="an empty or new folder for both")
    parser.add_argument("--scale", choices=("default", "smoke"), default="default")
    parser.add_argument("--stages", nargs="+", default=["train"], help="stages of dvc.yaml (train)")
    asked = parser.parse_args()
    one, other = asked.folder / "repro", asked.folder / "fanout"
    workspace.create(one, "smoke", REPOSITORY)
    if asked.scale == "default":
        shutil.copyfile(REPOSITORY / layout.PARAMS, one / layout.PARAMS)
    profiles.apply(ONE_THREAD, one / layout.PARAMS)
    command(one, "dvc", "repro", "captions", "pretrain")
    shutil.copytree(one, other, symlinks=True)
    alone = command(one, "dvc", "repro", *asked.stages)
    beside = command(other, "benchmark", "fanout", *asked.stages)
    same = weights(one) == weights(other) != {}
    runs = len(list((one / "runs").glob("*/model.safetensors")))
    print(
        f"{runs} runs of one thread, {cpus.available()} CPUs: dvc repro {alone:.0f} s, fanout {beside:.0f} s, "
        f"{alone / beside:.2f} times sooner; weights {'identical' if same else 'DIFFER'}"
    )
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())

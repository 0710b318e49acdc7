"""A DVC repository in which `fanout` can train: a small cohort, and the shipped stage ``train`` alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import yaml

from benchmark.pipeline import layout
from tests.benchmark.training import workplace
from tests.repository import REPOSITORY

SYSTEMS = ("clip", "offclip")
STEPS = 150
WEIGHTS = ("model.safetensors", "snapshot-25.safetensors", "snapshot-50.safetensors")


def write(root: Path) -> None:
    """Lay it out below ``root``; every step writes a checkpoint."""
    root.mkdir()
    values = workplace.params(
        training={"checkpoint_seconds": 1e-9}, budget={"unit": "samples", "amount": 16 * STEPS}
    ) | {"compare": list(SYSTEMS), "scratch": [], "ablation": [], "seeds": [0], "ablation_seeds": []}
    values["statistics"]["references"] = values["statistics"]["ablation_references"] = ["clip"]
    workplace.write(root, values)
    shipped = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["train"]
    shipped["deps"].remove(f"{layout.PRETRAINED.as_posix()}/${{item.seed}}")
    (root / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": shipped}}, sort_keys=False), encoding="utf-8")
    dvc(root, "init", "--no-scm", "--quiet")


def environment() -> dict[str, str]:
    """The code of this repository, one thread."""
    path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "NO_COLOR": "1", "MLFLOW_TRACKING_URI": ""}


def dvc(root: Path, *arguments: str) -> str:
    """Run a command of DVC; what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def fanout(root: Path, *arguments: str, in_background: bool = False) -> subprocess.Popen[str]:
    """Start `python -m benchmark fanout` there.

    Args:
        root: the repository.
        *arguments: of the command.
        in_background: as `command &` in a script does, where Ctrl-C is ignored by all that it starts.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "benchmark", "fanout", *arguments],
        cwd=root, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
        preexec_fn=(lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if in_background else None,
    )  # fmt: skip

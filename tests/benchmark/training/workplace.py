"""A folder in which ``train`` can run: a small cohort, its captions, and a plan."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import yaml

from benchmark import cli
from benchmark.planning import plan
from benchmark.training import train
from tests.benchmark.training import small_cohort
from tests.repository import REPOSITORY

ENCODERS = {"image": {"kind": "conv", "width": 8, "dim": 16}, "text": {"kind": "words", "dim": 16, "layers": 1}}


def params(**changes: dict[str, Any]) -> dict[str, Any]:
    """The shipped params.yaml with small towers, batches of 16, 30 steps; ``changes`` by section."""
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    values["encoders"] = copy.deepcopy(ENCODERS)
    values["training"] |= {"batch_size": 16, "threads": 1, "precision": "float32"}
    values["budget"] = {"unit": "samples", "amount": 480}
    for section, change in changes.items():
        values[section] = values[section] | change
    return values


def write(root: Path, values: dict[str, Any] | None = None) -> None:
    """Write params.yaml, cohort, captions and plans below ``root``."""
    small_cohort.write(root)
    write_params(root, values or params())


def write_params(root: Path, values: dict[str, Any]) -> None:
    """Replace params.yaml and plan anew."""
    (root / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    before = Path.cwd()
    os.chdir(root)
    try:
        plan.run(cli.stage_modules())
    finally:
        os.chdir(before)


def train_there(root: str, system: str, seed: int) -> None:
    """``train`` in a folder, for a process of its own."""
    os.chdir(root)
    train.run(system, seed)

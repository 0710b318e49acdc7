"""``python -m benchmark plan``: check params.yaml, and write what each system's training and each stage depends on.

DVC cannot look a model's file up from a system's name, and a list of source files written by hand has holes. So this
stage writes ``plan/<system>.json``, the resolved settings and a hash of every source file that the system's training
reaches, and ``plan/stages/<stage>.json``, the same for every stage. dvc.yaml depends on these files alone: an
edit reruns what uses the edited code and nothing else, and better words rerun nothing (code.py). Both hold a mark of
what their settings point to outside the repository, so that a release, a table or weights that were replaced are
noticed (outside.py). Runs on every ``dvc repro``, hence imports no torch.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from benchmark.common import files
from benchmark.common.progress import say
from benchmark.pipeline import layout, released, settings
from benchmark.planning import code, outside
from benchmark.planning.checks import check

SWEPT = (
    ".", "data", "data/raw", "data/index", "data/images", "data/cohort", "data/pretrained", "runs", "scores", "reports"
)  # fmt: skip
"""Where stages write. This stage runs first in every `dvc repro`."""
TRAINING = ("offclip/objective.py", "benchmark/training/train.py")
PER_SYSTEM = ("train", "train_scratch", "train_ablation")
"""Stages that depend on the plan of their system."""
SAME_CODE = {"score_scratch": "score", "score_ablation": "score"}
"""Stages that share another's command, and so its plan."""


def of_system(name: str, chosen: settings.Settings) -> dict[str, Any]:
    """The content of ``plan/<name>.json`` (docs/files.md)."""
    system = chosen.systems[name]
    reached = code.hashes([f"baselines/{system.model}.py", *TRAINING], {"model": None})
    return {
        "system": name,
        **system.model_dump(mode="json", exclude={"label", "release", "optional"}),
        **({"absent": missing} if (missing := released.absent(system)) else {}),
        "encoders": chosen.encoders_of(name),
        "training": chosen.training.model_dump(mode="json"),
        "budget": chosen.budget.model_dump(mode="json"),
        "captions_seed": chosen.captions.seed,
        "phantom": chosen.datasets[layout.TRAINING_DATASET].is_phantom,
        "outside": outside.of_key(f"systems.{name}", chosen),
        "code": reached,
        "code_hash": files.sha256_json(reached),
    }


def of_stages(modules: Mapping[str, str], chosen: settings.Settings) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Path and content of every ``plan/stages/<stage>.json`` that dvc.yaml depends on.

    Args:
        modules: stage -> the module that runs it.
        chosen: the settings; those that dvc.yaml names for the stage are in its plan by value, defaults included.
    """
    values = chosen.model_dump(mode="json")
    marks = functools.cache(lambda key: outside.of_key(key, chosen))
    declared = yaml.safe_load((code.ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for stage, definition in declared.items():
        if definition.get("always_changed") or stage in PER_SYSTEM or stage in SAME_CODE:
            continue
        datasets = definition.get("matrix", {}).get("dataset")
        for dataset in datasets or [None]:
            bound: code.Bound = {"model": None, "dataset": dataset} if dataset else {"model": None}
            reached = code.hashes([f"{modules[stage].replace('.', '/')}.py"], bound)
            keys = [str(key).replace("${item.dataset}", str(dataset)) for key in definition.get("params", [])]
            yield (
                layout.stage_plan(stage, dataset),
                {
                    "stage": stage,
                    "dataset": dataset,
                    "settings": {key: _at(values, key) for key in keys},
                    "outside": {path: mark for key in keys for path, mark in marks(key).items()},
                    "code": reached,
                    "code_hash": files.sha256_json(reached),
                },
            )


def _at(values: Any, key: str) -> Any:
    """The value at a dotted key; None where there is none."""
    for part in key.split("."):
        values = values.get(part) if isinstance(values, dict) else None
    return values


def run(modules: Mapping[str, str]) -> None:
    """Write a plan for every system of every group and for every stage; rewrite only what changed.

    Args:
        modules: stage -> the module that runs it.

    Raises:
        UserError: params.yaml asks for what cannot be run.
    """
    chosen = settings.load()
    check(chosen)
    files.sweep(map(Path, SWEPT))
    systems = {layout.plan(name): of_system(name, chosen) for name in chosen.names()}
    stages = dict(of_stages(modules, chosen))
    _remove_stale(layout.plan("_").parent, {*systems, layout.stage_plan("_").parent})
    _remove_stale(layout.stage_plan("_").parent, {*stages})
    changed = [path for path, content in {**systems, **stages}.items() if _write(path, content)]
    listed = f": {', '.join(path.stem for path in changed)}" if 0 < len(changed) < len(systems) + len(stages) else ""
    say(f"plan: {len(systems)} systems and {len(stages)} stages, {len(changed)} changed{listed}")


def _remove_stale(folder: Path, kept: set[Path]) -> None:
    """Remove what a plan of other settings left in a folder."""
    for stale in set(folder.glob("*")) - kept:
        shutil.rmtree(stale) if stale.is_dir() else stale.unlink()


def _write(path: Path, content: dict[str, Any]) -> bool:
    """Write a plan unless it is there already; whether it was written."""
    if path.exists() and files.read_json(path) == content:
        return False
    files.write_json(path, content)
    return True

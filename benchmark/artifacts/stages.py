"""Which stage of dvc.yaml makes a file, so that a complaint about the file can name the command."""

from __future__ import annotations

from pathlib import Path

from benchmark.common.errors import UserError
from benchmark.pipeline import layout, settings

OF_FOLDER = {
    layout.MATERIALS: "materials",
    layout.CAPTIONS: "captions",
    layout.PROBE: "probe",
    layout.RESULTS: "measure",
    Path("plan"): "plan",
}
OF_MEMBER = {
    Path("data/raw"): "raw",
    Path("data/index"): "index",
    Path("data/images"): "decode",
    Path("data/cohort"): "prepare",
    layout.PRETRAINED: "pretrain",
    Path("runs"): "train",
    Path("scores"): "score",
}
"""Folders with one folder for each item of a stage's matrix: ``data/cohort/open_i`` is made by ``prepare@open_i``."""


def again(path: Path) -> str:
    r"""The command that makes ``path`` again: ``\`dvc repro prepare@open_i\`` and the like."""
    return f"`dvc repro {stage_of(path)}".rstrip() + "`"


def stage_of(path: Path) -> str:
    """What `dvc repro` calls the stage that makes ``path``; "" (the whole pipeline) for a file that is no output.

    Args:
        path: as layout.py gives it, relative to the working directory.
    """
    for folder, stage in OF_FOLDER.items():
        if path.is_relative_to(folder):
            return stage
    for folder, stage in OF_MEMBER.items():
        if path.is_relative_to(folder) and path != folder:
            item = path.relative_to(folder).parts[0]
            group = _group(item.rpartition("-")[0]) if stage in ("train", "score") else settings.COMPARED
            return f"{stage}@{item}" if group == settings.COMPARED else f"{stage}_{group}@{item}"
    return ""


def _group(system: str) -> str:
    """The group of a system, after which its stages are named; that of `compare` where params.yaml cannot be read."""
    try:
        return settings.load().group_of(system)
    except UserError:
        return settings.COMPARED

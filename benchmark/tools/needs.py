"""What a whole run leaves on the disk, reckoned before anything runs, and whether each file system has room for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.common.errors import UserError
from benchmark.pipeline.settings import Settings, SystemSettings
from benchmark.tools.disk import HOW_TO_LINK, DvcCache
from benchmark.tracking.records import LARGE

COMPACT = 0.146
"""Size of a compact snapshot, of one set of weights (benchmark/artifacts/snapshots.py)."""
WORDINGS = 8
"""Columns of a table of scores beside its findings, about."""
FLOAT = 4
"""Bytes."""
CHECKPOINT = 3
"""Sets of weights in a checkpoint: they and Adam's two moments."""
REFERENCED = f"of weights above {LARGE >> 20} MiB their place alone, no copy"
VOCABULARY = 3_000
"""Words of a word tower whose captions were not yet read, about."""


@dataclass(frozen=True)
class Need:
    """Something that a run writes."""

    what: str
    folder: Path
    size: int
    """Bytes."""
    said: str = ""
    """How it comes about."""
    is_output: bool = True
    """Whether DVC keeps it in its cache as well."""


@dataclass(frozen=True)
class Scored:
    """A dataset as far as its size on the disk goes."""

    images: int
    findings: int
    rendered_bytes: int = 0
    """Image files that the harness draws itself."""


def of(values: Settings, datasets: Mapping[str, Scored]) -> list[Need]:
    """Everything of size that a whole run leaves, its copies in DVC's cache and MLflow aside.

    Args:
        values: settings.
        datasets: what is known of each dataset that can be prepared.
    """
    weights = {name: weights_bytes(values.systems[name], values) for name in dict.fromkeys(n for n, _ in values.runs())}
    share = COMPACT if values.training.snapshot_weights == "compact" else 1.0
    kept = len(values.training.snapshots)
    trained = [name for name, _ in values.runs() if not values.systems[name].is_released]
    whole = sum(weights[name] for name, _ in values.runs())
    snapshots = int(sum(weights[name] for name in trained) * kept * share)
    said = f"{len(values.runs())} runs"
    if snapshots:
        said += f", {kept} snapshots each, {size_in_words(snapshots)} of it"
        if share == 1.0 and max(weights.values()) > 50e6:
            said += f" (`training.snapshot_weights: compact` makes that {size_in_words(snapshots * COMPACT)})"
    # One is trained at a time: its checkpoint, the next one while it is written, and exact snapshots until it ends.
    largest = max((weights[name] for name in trained), default=0)
    columns = sum(each.images * (each.findings + WORDINGS) for name, each in datasets.items() if name != "mimic_cxr")
    drawn = sum(each.rendered_bytes for each in datasets.values())
    side = values.cohort.size
    needs = [
        Need("images", Path("data"), sum(each.images for each in datasets.values()) * side**2, f"at {side} px"),
        Need("phantom", Path("data/raw"), drawn, "image files that are rendered here"),
        Need("weights", Path("runs"), whole + snapshots, said),
        Need(
            "training",
            Path("runs"),
            largest * (2 * CHECKPOINT + kept + 1),
            "while a run goes on: two checkpoints, its snapshots and weights",
            is_output=False,
        ),
        Need(
            "MLflow",
            Path("mlartifacts"),
            sum(weights[name] for name, _ in values.runs() if weights[name] <= LARGE),
            REFERENCED,
            is_output=False,
        ),
        Need("scores", Path("scores"), columns * FLOAT * (len(values.runs()) + len(trained) * kept)),
    ]
    return [need for need in needs if need.size]


def weights_bytes(system: SystemSettings, values: Settings) -> int:
    """Size of one set of a system's weights: its model is built without memory; of a released one the file's size."""
    if system.checkpoint is not None:
        path = Path(system.checkpoint).expanduser()
        parts = [path] if path.is_file() else path.rglob("*")
        return sum(part.stat().st_size for part in parts if part.is_file())
    import torch

    from baselines import base

    towers = {part: {**own, "init": None} if "init" in own else own for part, own in values.encoders.items()}
    try:
        with torch.device("meta"):
            model = base.load(system.model, towers, system.model_options, [f"w{n}" for n in range(VOCABULARY)])
    except ValueError as error:
        raise UserError(f"System '{system.label}': {error}") from None
    return sum(value.numel() * value.element_size() for value in model.state_dict().values())


def render(needs: list[Need], kept: DvcCache | None) -> str:
    """The needs as text: what is written where, what DVC adds, and what each file system has free.

    Args:
        needs: of ``of``.
        kept: DVC's cache, where there is one.
    """
    lines = {
        need.what: f"{size_in_words(need.size)} in {need.folder}/{f': {need.said}' if need.said else ''}"
        for need in needs
    }
    outputs = sum(need.size for need in needs if need.is_output)
    copied = outputs if kept is not None and kept.copies else 0
    if kept is not None:
        lines["DVC"] = f"{kept.link}s from {kept.place}/: nothing is stored twice"
        if copied:
            lines["DVC"] = f"{size_in_words(copied)} once more, copied into {kept.place}/; {HOW_TO_LINK}"
    lines.setdefault("MLflow", REFERENCED)
    short = False
    for mount, (needed, free) in by_file_system([*needs, *_copies(copied, kept)]).items():
        short |= needed > free
        lines[f"on {mount}"] = f"{size_in_words(needed)} needed, {size_in_words(free)} free"
    width = max(map(len, lines)) + 2
    body = "\n".join(f"  {heading:<{width}}{sentence}" for heading, sentence in lines.items())
    return f"disk: what a whole run takes, from nothing\n{body}" + ("\nThere is NOT ENOUGH DISK." if short else "")


def _copies(size: int, kept: DvcCache | None) -> list[Need]:
    return [Need("DVC", kept.place, size)] if kept is not None and size else []


def by_file_system(needs: list[Need]) -> dict[str, tuple[int, int]]:
    """Where each file system is mounted -> bytes that are needed and that are free on it."""
    found: dict[str, tuple[int, int]] = {}
    for need in needs:
        place = need.folder.resolve()
        while not place.exists():
            place = place.parent
        mount = _mount(place)
        needed, free = found.get(mount, (0, shutil.disk_usage(place).free))
        found[mount] = (needed + need.size, free)
    return found


def _mount(place: Path) -> str:
    """The highest folder of the file system that holds ``place``."""
    while not os.path.ismount(place):
        place = place.parent
    return str(place)


def size_in_words(count: float) -> str:
    """A size in words."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"

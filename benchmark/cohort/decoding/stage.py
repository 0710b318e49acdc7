"""Stage ``decode``: the listed image files -> one array, and what became of each file.

``data/images/<dataset>/``: ``images.npy`` holds the images that could be decoded, in the order of the list;
``images.parquet`` names every file of the list with its size in pixels or the reason why it is not in the array.
With ``--shard K/N`` a part of the list is decoded for a later run without it to take over (shards.py).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.cohort import indexed, losses, pointer
from benchmark.cohort.decoding import cache, shards, takeover
from benchmark.cohort.decoding.decode import REMARKS, Remark
from benchmark.cohort.decoding.takeover import DONE, Earlier, Made
from benchmark.common import files
from benchmark.common.progress import say
from benchmark.pipeline import layout, settings

DECODERS = (
    "benchmark/cohort/decoding/decode.py",
    "benchmark/cohort/decoding/jpeg.py",
    "benchmark/common/placement.py",
)
"""The code that makes pixels."""
LIBRARIES = ("numpy", "opencv-python-headless", "pillow", "pydicom", "imagecodecs", "pylibjpeg-openjpeg")


def run(dataset: str, shard: shards.Shard | None = None) -> None:
    """Decode one dataset (``python -m benchmark decode DATASET``); what was decoded before is taken over.

    Args:
        dataset: its name.
        shard: decode this part of the list alone, beside the present array, which stays as it is.

    Raises:
        UserError: more than ``cohort.max_missing`` of the images cannot be decoded; the previous ones stay.
    """
    values = settings.load()
    root, phantom = pointer.read(dataset)
    named = phantom or values.datasets[dataset].share_examples
    paths = list(indexed.read_files(dataset)["path"])
    target = layout.images(dataset)
    part, remembered = (target.parent / f".{target.name}.{what}" for what in ("part", "record"))
    made = Made(str(root), values.cohort.size, values.cohort.decode, decoders(dataset))
    finished = takeover.finished(remembered, target / "images.npy")

    def build(paths: list[str], part: Path, others: Sequence[Earlier] = ()) -> cache.Outcome:
        return cache.build(
            root,
            paths,
            part,
            size=made.size,
            policy=values.cohort.decode,
            workers=values.cohort.workers,
            what=f"decoding {dataset}",
            made=made,
            finished=finished,
            shards=others,
        )

    if shard is not None:
        outcome = build(shard.of(paths), shard.folder(dataset))
        say(f"{dataset}, shard {shard}: {outcome.decoded} images decoded -> {shard.folder(dataset)}")
        return
    outcome = build(paths, part, shards.read(dataset))
    listed = [f"{root / paths[row]} {reason}" for row, reason in outcome.failures.items()]
    flat = [
        f"{root / paths[row]} {REMARKS[Remark.FLAT]}" for row in np.flatnonzero(outcome.record["remarks"] & Remark.FLAT)
    ]
    losses.refuse_above(dataset, len(listed), len(paths), "images", listed, values.cohort.max_missing, named)
    for line in listed if named else ():
        say(f"{dataset}: left out: {line}")
    for line in flat if named else ():
        say(f"{dataset}: used, but look at it: {line}")
    if (listed or flat) and not named:
        place = losses.list_privately(dataset, listed + flat)
        say(f"{dataset}: left out: {len(listed)} images; {REMARKS[Remark.FLAT]}: {len(flat)}; listed in {place}")
    kept = np.flatnonzero(outcome.record["state"] == DONE)
    with files.replacing(target) as folder:
        folder.mkdir()
        cache.keep_rows(outcome.images, kept, folder / "images.npy")
        files.write_parquet(folder / "images.parquet", table(paths, outcome))
    takeover.keep(remembered, Earlier(made, [paths[row] for row in kept], outcome.record[kept], target / "images.npy"))
    shutil.rmtree(part, ignore_errors=True)
    shards.forget(dataset)
    say(f"{dataset}: {outcome.decoded} images decoded, {len(paths) - outcome.decoded} taken over -> {target}")


def table(paths: list[str], outcome: cache.Outcome) -> pd.DataFrame:
    """images.parquet: path, height, width (int32, of the original, 0 where it failed), reason of a failure or "", and
    remarks (uint8, ``decode.Remark``)."""
    reasons = [outcome.failures.get(row, "") for row in range(len(paths))]
    sizes = {"height": outcome.heights, "width": outcome.widths}
    return pd.DataFrame({"path": paths, **sizes, "reason": reasons, "remarks": outcome.record["remarks"].copy()})


def waiting(dataset: str) -> int:
    """How many files of the list no earlier run has decoded as they would be now, by their names; opens no image."""
    values = settings.load()
    root, _ = pointer.read(dataset)
    made = Made(str(root), values.cohort.size, values.cohort.decode, decoders(dataset))
    target = layout.images(dataset)
    part, remembered = (target.parent / f".{target.name}.{what}" for what in ("part", "record"))
    earlier = [takeover.read(remembered, target / "images.npy"), takeover.read(part, part / "images.npy")]
    known = {
        path
        for each in (*earlier, *shards.read(dataset))
        if each is not None and each.made == made
        for path, state in zip(each.paths, each.record["state"], strict=True)
        if state == DONE
    }
    return len(set(indexed.read_files(dataset)["path"]) - known)


def decoders(dataset: str) -> str:
    """Hash of what decodes: the code as the plan of this stage has it ("" where nothing was planned), and libraries."""
    plan = layout.stage_plan("decode", dataset)
    code = files.read_json(plan)["code"] if os.path.isfile(plan) else {}
    return files.sha256_json(
        [{path: code.get(path) for path in DECODERS}, {name: _version(name) for name in LIBRARIES}]
    )


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""

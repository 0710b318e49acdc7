"""Stage ``prepare``: raw tree -> index.parquet, regions.parquet, images.npy, card.json of one dataset.

The adapter reads the tables, the cache decodes the images, and what could not be used is left out of *every* file at
once, counted and named: a missing image never shifts another row's label.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.artifacts import reading
from benchmark.artifacts.stages import again
from benchmark.cohort import contract, schema
from benchmark.cohort.contract import Exclusion, Release
from benchmark.cohort.decoding import cache
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import say
from benchmark.pipeline import layout, settings
from benchmark.pipeline.settings import CohortSettings

EXAMPLES = 5
OVERHANG = 0.01
"""Share of the image's side by which a box may stick out and is clipped (rounding in the releases)."""


def run(dataset: str) -> None:
    """Prepare one dataset (``python -m benchmark prepare DATASET``).

    Raises:
        UserError: the tree is not as published, or more than ``cohort.max_missing`` of it is unusable.
    """
    values = settings.load()
    written = layout.raw(dataset) / "pointer.json"
    pointer = reading.read_json(written)
    if not (isinstance(pointer, dict) and {"root", "phantom"} <= pointer.keys()):
        raise UserError(f"{written} does not name a root; run {again(written)}.")
    chosen = values.datasets[dataset]
    root = Path(pointer["root"])
    # The settings' own, or the phantom's, which its writer put there.
    grounding = chosen.grounding_file or (Path(pointer["grounding"]) if pointer.get("grounding") else None)
    release = contract.reader(dataset)(root, chosen, grounding)
    write(
        dataset,
        release,
        root,
        values.cohort,
        layout.cohort(dataset),
        phantom=bool(pointer["phantom"]),
        share_examples=chosen.share_examples,
    )


def write(
    dataset: str,
    release: Release,
    root: Path,
    options: CohortSettings,
    target: Path,
    *,
    phantom: bool,
    share_examples: bool,
) -> schema.Card:
    """Decode the images of a cohort and write its folder in one step.

    Args:
        dataset: its name.
        release: what the adapter read.
        root: folder the index's paths are relative to.
        options: size, decode policy, workers and ``max_missing``.
        target: the cohort's folder; replaced whole, or left as it was on an error.
        phantom: the images are rendered.
        share_examples: names may be written into the card.

    Raises:
        UserError: nothing is left, or more than ``max_missing`` of the images (or of the regions) is unusable.
    """
    if release.index.empty:
        reasons = "; ".join(f"{len(item.names)} {item.reason}" for item in release.exclusions) or "the tables are empty"
        raise UserError(f"{dataset}: no image of {root} is left to use ({reasons}).")
    # Looking names up takes seconds, decoding hours: a download that is not complete fails before it begins.
    named = phantom or share_examples
    absent = [f"{root / path} not on disk" for path in release.index["path"] if not os.path.isfile(root / path)]
    incomplete = [item for item in release.exclusions if item.incomplete]
    absent += [f"study {name}: {item.reason}" for item in incomplete for name in item.names]
    total = len(release.index) + sum(len(item.names) for item in incomplete)
    _refuse_above(dataset, len(absent), total, "images", absent, options.max_missing, named)
    part = target.parent / f".{target.name}.part"
    outcome = cache.build(
        root,
        list(release.index["path"]),
        part,
        size=options.size,
        policy=options.decode,
        workers=options.workers,
        what=f"decoding {dataset}",
    )
    index, exclusions = _drop_failures(dataset, release, outcome, root, options.max_missing, named)
    regions, outside = to_pixels(release.regions[release.regions["image_id"].isin(index["image_id"])], index)
    _refuse_above(dataset, len(outside), len(regions) + len(outside), "regions", outside, options.max_missing, named)
    if outside:
        exclusions.append(Exclusion("region outside its image", tuple(outside)))
    index, regions = schema.check_index(index), schema.check_regions(regions, index)
    with files.replacing(target) as folder:
        folder.mkdir()
        files.write_parquet(folder / "index.parquet", index)
        files.write_parquet(folder / "regions.parquet", regions)
        cache.keep_rows(
            outcome.images, np.setdiff1d(np.arange(len(release.index)), list(outcome.failures)), folder / "images.npy"
        )
        card = make_card(
            dataset, release, index, regions, exclusions, options, _fingerprint(folder), phantom, share_examples
        )
        files.write_json(folder / "card.json", card.as_json())
    shutil.rmtree(part, ignore_errors=True)
    say(f"{dataset}: {len(index)} images of {card.counts.patients} patients, {len(regions)} regions -> {target}")
    return card


def _drop_failures(
    dataset: str, release: Release, outcome: cache.Outcome, root: Path, max_missing: float, named: bool
) -> tuple[pd.DataFrame, list[Exclusion]]:
    """Index of the decoded images with their sizes, and all exclusions; refuses above ``max_missing``."""
    index = release.index.assign(height=outcome.heights, width=outcome.widths)
    columns = [name for name in index if name not in ("height", "width")]
    at = columns.index("view") + 1
    index = index[[*columns[:at], "height", "width", *columns[at:]]]
    failed = pd.Series(outcome.failures, dtype=str)
    listed = [f"{root / release.index['path'].iloc[row]} {reason}" for row, reason in outcome.failures.items()]
    _refuse_above(dataset, len(failed), len(index), "images", listed, max_missing, named)
    exclusions = list(release.exclusions)
    for reason, rows in failed.groupby(failed.str.split(":").str[0], sort=True):
        exclusions.append(Exclusion(f"image {reason}", tuple(index["image_id"].iloc[rows.index])))
    for line in listed if named else ():
        say(f"{dataset}: left out: {line}")
    if listed and not named:
        say(f"{dataset}: left out: {len(listed)} images, listed in {list_privately(dataset, listed)}")
    return index.drop(index=list(outcome.failures)).reset_index(drop=True), exclusions


def _refuse_above(
    dataset: str, bad: int, total: int, what: str, listed: list[str], max_missing: float, named: bool
) -> None:
    """Fail when more than ``max_missing`` of ``total`` is unusable; without ``named`` the names go to a file only."""
    if total and bad / total > max_missing:
        examples = f"for example {'; '.join(listed[:EXAMPLES])}"
        shown = examples if named else f"listed in {list_privately(dataset, listed)}"
        raise UserError(
            f"{dataset}: {bad} of {total} {what} cannot be used ({bad / total:.1%}, allowed are {max_missing:.1%}), "
            f"{shown}; complete the download, or raise cohort.max_missing in params.yaml."
        )


def list_privately(dataset: str, listed: list[str]) -> Path:
    """Names of a real release lead to its patients: they go to a file beside the data, never to a log."""
    path = layout.raw(dataset).parent / f".{dataset}.left_out.txt"
    files.write_text(path, "\n".join(listed) + "\n")
    return path


def to_pixels(regions: pd.DataFrame, index: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Regions in pixels of their images, clipped to them, and a line for each that lies outside.

    A box may stick out by ``OVERHANG`` of the side; a mask must have its image's size.

    Args:
        regions: an adapter's regions.
        index: index with ``height`` and ``width`` that holds all their images.
    """
    size = (
        index.set_index("image_id")[["height", "width"]].astype(float).loc[regions["image_id"]].reset_index(drop=True)
    )
    regions = regions.reset_index(drop=True).copy()
    fraction = regions["kind"] == "fraction"
    outside = (regions["kind"] == "mask") & (
        (regions["mask_height"] != size["height"]) | (regions["mask_width"] != size["width"])
    )
    for low, high, side in (("x_min", "x_max", size["width"]), ("y_min", "y_max", size["height"])):
        corners = regions[[low, high]].astype(float)
        corners = corners.where(~fraction, corners.mul(side, axis=0))
        outside |= (corners[low] < -OVERHANG * side) | (corners[high] > (1 + OVERHANG) * side)
        outside |= (corners[low] >= side) | (corners[high] <= 0)
        regions[[low, high]] = corners.clip(lower=0).clip(upper=side, axis=0).astype("float32")
    regions.loc[fraction, "kind"] = "box"
    lines = [
        f"{row.image_id} {row.finding} ({row.x_min:g}, {row.y_min:g}, {row.x_max:g}, {row.y_max:g}) in an image of "
        f"{extent.width:g} x {extent.height:g}"
        for row, extent in zip(regions[outside].itertuples(), size[outside].itertuples(), strict=True)
    ]
    return regions.loc[~outside, list(contract.REGION_COLUMNS)].reset_index(drop=True), lines


def _fingerprint(folder: Path) -> str:
    """SHA-256 over the SHA-256 of index, regions and images."""
    parts = (files.sha256_file(folder / name) for name in ("index.parquet", "regions.parquet", "images.npy"))
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def make_card(
    dataset: str,
    release: Release,
    index: pd.DataFrame,
    regions: pd.DataFrame,
    exclusions: list[Exclusion],
    options: CohortSettings,
    fingerprint: str,
    phantom: bool,
    share_examples: bool,
) -> schema.Card:
    """Counts and provenance of a prepared dataset."""
    named = phantom or share_examples
    return schema.Card(
        dataset=dataset,
        phantom=phantom,
        credentialed=release.credentialed and not phantom,
        share_examples=share_examples,
        release=release.version,
        findings=release.findings,
        counts=schema.Counts(
            images=len(index),
            studies=int(index["study_id"].nunique()),
            patients=int(index["patient_id"].nunique()),
            normal=int((index["normal"] == 1).sum()),
            abnormal=int((index["normal"] == 0).sum()),
        ),
        prevalence={name: int((index[f"{schema.LABEL}{name}"] == 1).sum()) for name in release.findings},
        views=_counted(index["view"]),
        splits=_counted(index["split"]),
        labels=release.labels,
        grounding_truth=release.grounding_truth,
        regions=len(regions),
        cluster=release.cluster,
        exclusions=tuple(
            schema.ExclusionCount(item.reason, len(item.names), item.names[:EXAMPLES] if named else ())
            for item in exclusions
        ),
        notes=release.notes,
        decode=options.decode,
        size=options.size,
        fingerprint=fingerprint,
    )


def _counted(values: pd.Series) -> dict[str, int]:
    """Value -> how often, in alphabetical order."""
    return {str(value): int(count) for value, count in values.value_counts().sort_index().items()}

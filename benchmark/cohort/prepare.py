"""Stage ``prepare``: the index, its regions and the decoded images -> one cohort whose rows agree.

What could not be decoded is left out of *every* file at once, counted and named: a missing image never shifts another
row's label. Seconds: no image is opened.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pandas as pd

from benchmark.artifacts import reading
from benchmark.cohort import contract, indexed, losses, pointer, protocol, schema
from benchmark.cohort.contract import Exclusion, Release
from benchmark.cohort.decoding.decode import REMARKS
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import say
from benchmark.pipeline import layout, settings
from benchmark.pipeline.settings import CohortSettings


def run(dataset: str) -> None:
    """Prepare one dataset (``python -m benchmark prepare DATASET``).

    Raises:
        UserError: index and images are of different lists, or more than ``cohort.max_missing`` of the regions lies
            outside its image; the previous cohort stays.
    """
    values = settings.load()
    _, phantom = pointer.read(dataset)
    share_examples = values.datasets[dataset].share_examples
    named = phantom or share_examples
    release = indexed.read(dataset)
    decoded = read_images(dataset, list(release.index["path"]))
    table, exclusions = drop_failures(release, decoded)
    regions, outside, clipped = to_pixels(release.regions[release.regions["image_id"].isin(table["image_id"])], table)
    losses.refuse_above(
        dataset, len(outside), len(regions) + len(outside), "regions", outside, values.cohort.max_missing, named
    )
    if outside:
        exclusions.append(Exclusion("region outside its image", tuple(outside)))
    notes = [*release.notes, *remarked(decoded)]
    if clipped:
        notes.append(
            f"Regions that stuck out of their image by at most {contract.OVERHANG:.0%} and were clipped: {clipped}."
        )
    release = dataclasses.replace(release, notes=tuple(notes))
    table = schema.check_index(table)
    regions = schema.check_regions(regions, table)
    target = layout.cohort(dataset)
    with files.replacing(target) as folder:
        folder.mkdir()
        files.write_parquet(folder / "index.parquet", table)
        files.write_parquet(folder / "regions.parquet", regions)
        files.link_or_copy(layout.images(dataset) / "images.npy", folder / "images.npy")
        card = make_card(
            dataset, release, table, regions, exclusions, values.cohort, _fingerprint(folder), phantom, share_examples
        )
        files.write_json(folder / "card.json", card.as_json())
    say(f"{dataset}: {len(table)} images of {card.counts.patients} patients, {len(regions)} regions -> {target}")


def read_images(dataset: str, paths: list[str]) -> pd.DataFrame:
    """images.parquet of stage ``decode``, one row a path.

    Raises:
        UserError: it is missing, spoilt, or of another list of files.
    """
    path = layout.images(dataset) / "images.parquet"
    table = reading.read_table(path)
    if list(table["path"]) != paths:
        raise UserError(f"{path} is of another list of files than the index; run `dvc repro prepare@{dataset}`.")
    return table


def remarked(decoded: pd.DataFrame) -> list[str]:
    """A note for each kind of remarkable image, with their number."""
    counts = {
        words: int(((decoded["remarks"].to_numpy() & int(remark)) != 0).sum()) for remark, words in REMARKS.items()
    }
    return [f"Images with {words}: {count}." for words, count in counts.items() if count]


def drop_failures(release: Release, decoded: pd.DataFrame) -> tuple[pd.DataFrame, list[Exclusion]]:
    """Index of the decoded images with the originals' height and width after ``view``, and all exclusions."""
    table = release.index.copy()
    after = list(table.columns).index("view") + 1
    table.insert(after, "height", decoded["height"].to_numpy())
    table.insert(after + 1, "width", decoded["width"].to_numpy())
    failed = decoded["reason"] != ""
    exclusions = list(release.exclusions)
    for reason, rows in decoded[failed].groupby(decoded["reason"].str.split(":").str[0], sort=True):
        exclusions.append(Exclusion(f"image {reason}", tuple(table["image_id"].iloc[rows.index])))
    return table[~failed.to_numpy()].reset_index(drop=True), exclusions


def to_pixels(regions: pd.DataFrame, table: pd.DataFrame) -> tuple[pd.DataFrame, list[str], int]:
    """Regions in pixels of their images, clipped to them; a line for each that lies outside; how many were clipped.

    A box may stick out by ``contract.OVERHANG`` of the side; a mask must have its image's size.

    Args:
        regions: an adapter's regions.
        table: index with ``height`` and ``width`` that holds all their images.
    """
    size = (
        table.set_index("image_id")[["height", "width"]].astype(float).loc[regions["image_id"]].reset_index(drop=True)
    )
    regions = regions.reset_index(drop=True).copy()
    fraction = regions["kind"] == "fraction"
    outside = (regions["kind"] == "mask") & (
        (regions["mask_height"] != size["height"]) | (regions["mask_width"] != size["width"])
    )
    clipped = pd.Series(False, index=regions.index)
    for low, high, side in (("x_min", "x_max", size["width"]), ("y_min", "y_max", size["height"])):
        corners = regions[[low, high]].astype(float)
        corners = corners.where(~fraction, corners.mul(side, axis=0))
        outside |= (corners[low] < -contract.OVERHANG * side) | (corners[high] > (1 + contract.OVERHANG) * side)
        outside |= (corners[low] >= side) | (corners[high] <= 0)
        clipped |= (corners[low] < 0) | (corners[high] > side)
        regions[[low, high]] = corners.clip(lower=0).clip(upper=side, axis=0).astype("float32")
    regions.loc[fraction, "kind"] = "box"
    lines = [
        f"{row.image_id} {row.finding} ({row.x_min:g}, {row.y_min:g}, {row.x_max:g}, {row.y_max:g}) in an image of "
        f"{extent.width:g} x {extent.height:g}"
        for row, extent in zip(regions[outside].itertuples(), size[outside].itertuples(), strict=True)
    ]
    kept = regions.loc[~outside, list(contract.REGION_COLUMNS)].reset_index(drop=True)
    return kept, lines, int((clipped & ~outside).sum())


def _fingerprint(folder: Path) -> str:
    """SHA-256 over the SHA-256 of index, regions and images."""
    parts = (files.sha256_file(folder / name) for name in ("index.parquet", "regions.parquet", "images.npy"))
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def make_card(
    dataset: str,
    release: Release,
    table: pd.DataFrame,
    regions: pd.DataFrame,
    exclusions: list[Exclusion],
    options: CohortSettings,
    fingerprint: str,
    phantom: bool,
    share_examples: bool,
) -> schema.Card:
    """Counts and provenance of a prepared dataset."""
    named = phantom or share_examples
    counts = schema.Counts(
        images=len(table),
        studies=int(table["study_id"].nunique()),
        patients=int(table["patient_id"].nunique()),
        normal=int((table["normal"] == 1).sum()),
        abnormal=int((table["normal"] == 0).sum()),
    )
    published = [] if phantom else protocol.compared(dataset, counts)
    return schema.Card(
        dataset=dataset,
        phantom=phantom,
        credentialed=release.credentialed and not phantom,
        share_examples=share_examples,
        release=release.version,
        findings=release.findings,
        counts=counts,
        prevalence={name: int((table[f"{schema.LABEL}{name}"] == 1).sum()) for name in release.findings},
        shares=pointer.shares(dataset) if phantom else None,
        views=_counted(table["view"]),
        splits=_counted(table["split"]),
        labels=release.labels,
        grounding_truth=release.grounding_truth,
        regions=len(regions),
        cluster=release.cluster,
        exclusions=tuple(
            schema.ExclusionCount(item.reason, len(item.names), item.names[: losses.EXAMPLES] if named else ())
            for item in exclusions
        ),
        notes=(*release.notes, *published),
        decode=options.decode,
        size=options.size,
        fingerprint=fingerprint,
    )


def _counted(values: pd.Series) -> dict[str, int]:
    """Value -> how often, in alphabetical order."""
    return {str(value): int(count) for value, count in values.value_counts().sort_index().items()}

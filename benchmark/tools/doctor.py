"""``python -m benchmark doctor``: what the roots in params.yaml hold, before anything runs.

Seconds, not hours: tables are read, a sample of the images is looked up and a few are decoded. Exit status 0 when
every dataset can be prepared and the weights that training starts from are there, 1 otherwise.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.cohort import adapters, protocol
from benchmark.cohort.contract import Release
from benchmark.cohort.decoding import decode
from benchmark.cohort.losses import list_privately
from benchmark.common.errors import UserError
from benchmark.pipeline import layout, settings
from benchmark.pipeline.settings import DatasetSettings, Settings
from benchmark.tools import needs, starts, weights
from benchmark.tools.disk import dvc_cache
from benchmark.tools.needs import size_in_words

LOOKED_UP = 200
"""Images of which the existence is checked, evenly spread over the index."""
DECODED = 4
"""Images that are decoded and timed at least."""
MEASURED_SECONDS = 1.0
"""Decoding is timed for so long, on images spread over the index."""
MANY_WORKERS = 16
"""For comparison: what a node of a cluster would take."""
NOTHING = needs.Scored(0, 0)
PHANTOM_FINDINGS = 30
"""Findings of a phantom dataset, about."""
PHANTOM_SECONDS = 0.06
"""Rendering and preparing one phantom study on one core."""
Clock = Callable[[], float]


@dataclass(frozen=True)
class Diagnosis:
    """What is known of one dataset."""

    dataset: str
    ready: bool
    lines: dict[str, str] = field(default_factory=dict)
    """Heading -> sentence."""
    size: needs.Scored = NOTHING
    """Where it is ready: what its size on the disk follows from."""
    needed_seconds: float = 0.0


def run() -> int:
    """Print a diagnosis of every dataset; the exit status."""
    values = settings.load()
    diagnoses = [examine(dataset, values) for dataset in layout.DATASETS]
    print(f"{render(diagnoses, values)}\n\n{needs.render(needed(diagnoses, values), dvc_cache())}")
    for block in weights.lines(values):
        print(f"\n{block}")
    lacking = starts.missing(values)
    for sentence in lacking:
        print(f"\nstart: NOT READY\n  {sentence}")
    return 0 if all(diagnosis.ready for diagnosis in diagnoses) and not lacking else 1


def needed(diagnoses: list[Diagnosis], values: Settings) -> list[needs.Need]:
    """What a whole run on the datasets that are ready leaves on the disk."""
    return needs.of(values, {diagnosis.dataset: diagnosis.size for diagnosis in diagnoses if diagnosis.ready})


def examine(dataset: str, values: Settings, clock: Clock = time.perf_counter) -> Diagnosis:
    """Look at one dataset's root.

    Args:
        dataset: its name.
        values: settings.
        clock: seconds; replaced in tests.
    """
    chosen = values.datasets[dataset]
    if chosen.is_phantom:
        return _phantom(dataset, values)
    try:
        root = chosen.folder
        release = adapters.reader(dataset, quick=True)(root, chosen, chosen.grounding_file)
        protocol.check_whole(dataset, release, chosen.subset)
    except UserError as error:
        return Diagnosis(dataset, False, {"root": chosen.root, "problem": str(error)})
    if release.index.empty:
        return Diagnosis(dataset, False, {"root": str(root), "problem": "the tables leave no image to use."})
    return _real(dataset, chosen, release, root, values, clock)


def _phantom(dataset: str, values: Settings) -> Diagnosis:
    """What the embedded cohort will need."""
    studies = values.phantom.studies.get(dataset, 0)
    return Diagnosis(
        dataset,
        studies > 0,
        {"root": "phantom: rendered here, no images of patients", "uses": f"{studies:,} studies"},
        needs.Scored(studies, PHANTOM_FINDINGS, studies * 2 * values.phantom.image_size**2),
        studies * PHANTOM_SECONDS / values.cohort.workers,
    )


def _real(
    dataset: str, chosen: DatasetSettings, release: Release, root: Path, values: Settings, clock: Clock
) -> Diagnosis:
    """What a published tree holds and will need."""
    index = release.index
    step = max(len(index) // LOOKED_UP, 1)
    sample = list(index["path"].iloc[::step])
    absent = [path for path in sample if not os.path.isfile(root / path)]
    there = [path for path in sample if path not in set(absent)]
    silent = _without_report(dataset, root, chosen, sample)
    unreadable, timed, elapsed = _decoded(root, there, values, clock)
    alone = elapsed / max(timed, 1) * len(index)
    seconds = alone / values.cohort.workers
    lines = {
        "root": str(root),
        "release": release.version,
        "uses": f"{index['study_id'].nunique():,} studies of {index['patient_id'].nunique():,} {release.cluster}s, "
        f"{len(index):,} images, {len(release.findings)} findings, label set `{release.labels}`",
        "normal": f"{int((index['normal'] == 1).sum()):,} of {int(index['normal'].notna().sum()):,} labelled images",
        "grounding": f"{len(release.regions):,} regions ({release.grounding_truth})",
        "left out": "; ".join(f"{len(item.names):,} {item.reason}" for item in release.exclusions) or "nothing",
        "on disk": f"{len(there):,} of {len(sample):,} images looked up"
        + ("" if silent is None else f", {len(sample) - len(silent):,} of {len(sample):,} reports"),
    }
    if timed:
        rate = timed / max(elapsed, 1e-9)
        lines["decoding"] = (
            f"{rate:.3g} images a second and worker, measured on {timed} of them; with {MANY_WORKERS} workers "
            f"{_duration(alone / MANY_WORKERS)} where disk and network keep up"
        )
    if unreadable:
        lines["unreadable"] = f"{len(unreadable)} of {timed} images decoded"
    lost = [f"{root / path} not on disk" for path in absent] + [f"{root / path} has no report" for path in silent or ()]
    if listed := lost + unreadable:
        named = chosen.share_examples or not release.credentialed
        lines["which"] = f"for example {listed[0]}" if named else f"listed in {list_privately(dataset, listed)}"
    if release.notes:
        lines["note"] = " ".join(release.notes)
    ready = len(lost) / len(sample) <= values.cohort.max_missing and len(unreadable) < max(timed, 1)
    if not ready:
        lines["problem"] = (
            f"too many images or reports are missing or unreadable (allowed are {values.cohort.max_missing:.1%}); "
            f"complete the download, or correct datasets.{dataset}.root in params.yaml."
        )
    return Diagnosis(dataset, ready, lines, needs.Scored(len(index), len(release.findings)), seconds)


def _decoded(root: Path, paths: list[str], values: Settings, clock: Clock) -> tuple[list[str], int, float]:
    """Lines of what cannot be decoded, how many were tried, and the seconds that it took."""
    # Multiples of the golden ratio: any first few of them are spread over the whole list.
    order = dict.fromkeys(int(at * 0.618_033_988_75 % 1 * len(paths)) for at in range(4 * len(paths)))
    unreadable: list[str] = []
    start = clock()
    tried, elapsed = 0, 0.0
    for at in order:
        try:
            decode.load(root / paths[at], values.cohort.decode, values.cohort.size)
        except decode.UnreadableImage as error:
            unreadable.append(f"{root / paths[at]} {error}")
        tried, elapsed = tried + 1, clock() - start
        if tried >= DECODED and elapsed >= MEASURED_SECONDS:
            break
    return unreadable, tried, elapsed


def _without_report(dataset: str, root: Path, chosen: DatasetSettings, sample: list[str]) -> list[str] | None:
    """Images of the sample whose report is not on disk; None where reports are no files of their own."""
    adapter = importlib.import_module(f"benchmark.cohort.adapters.{dataset}")
    return adapter.without_report(root, chosen, sample) if hasattr(adapter, "without_report") else None


def render(diagnoses: list[Diagnosis], values: Settings) -> str:
    """The diagnoses as text.

    Args:
        diagnoses: one a dataset.
        values: settings.
    """
    blocks = []
    for diagnosis in diagnoses:
        lines = dict(diagnosis.lines)
        if diagnosis.ready:
            cache = size_in_words(diagnosis.size.images * values.cohort.size**2)
            lines["needs"] = f"{cache} of cache, {_duration(diagnosis.needed_seconds)}"
        state = "ready" if diagnosis.ready else "NOT READY"
        body = "\n".join(f"  {heading:<11}{sentence}" for heading, sentence in lines.items())
        blocks.append(f"{diagnosis.dataset}: {state}\n{body}")
    seconds = sum(diagnosis.needed_seconds for diagnosis in diagnoses)
    count = sum(diagnosis.ready for diagnosis in diagnoses)
    total = (
        f"{count} of {len(diagnoses)} datasets are ready; the cache at {values.cohort.size} px takes "
        f"{_duration(seconds)} with {values.cohort.workers} workers."
    )
    return "\n\n".join([*blocks, total])


def _duration(seconds: float) -> str:
    """A duration in words."""
    if seconds < 90:
        return f"about {max(round(seconds), 1)} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"

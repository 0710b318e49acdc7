"""Stage ``raw``: the phantom in a dataset's published layout, or a pointer to the user's own release.

Either way ``data/raw/<dataset>/pointer.json`` names the root that the adapter reads. For a real root
the pointer carries a fingerprint of the release's tables, since DVC does not hash what lies outside.
"""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import say, with_progress
from benchmark.pipeline import layout, settings

TABLES = (".csv", ".csv.gz", ".json", ".json.gz", ".tgz", ".tar.gz", ".zip", ".txt")
"""Endings of tables at the top of a release and one folder below it."""
LARGEST_HASHED = 1 << 30
"""Tables above this many bytes count by name and size."""


def fingerprint(root: Path) -> str:
    """SHA-256 over name, size and content of the tables of a release, top folder and one below."""
    found = [path for pattern in ("*", "*/*") for path in root.glob(pattern) if path.is_file()]
    tables = sorted(path for path in found if path.name.endswith(TABLES))
    listed = []
    for path in with_progress(tables, f"fingerprint of {root}"):
        size = path.stat().st_size
        digest = files.sha256_file(path) if size <= LARGEST_HASHED else ""
        listed.append([path.relative_to(root).as_posix(), size, digest])
    return files.sha256_json(listed)


def _pointer(dataset: str, phantom: bool, root: str, grounding: str | None, mark: str) -> dict[str, Any]:
    return {"dataset": dataset, "phantom": phantom, "root": root, "grounding": grounding, "fingerprint": mark}


def point(dataset: str, chosen: settings.DatasetSettings) -> None:
    """Write pointer.json for a release on the user's disk.

    Raises:
        UserError: the root or the grounding file does not exist.
    """
    root = chosen.folder
    if not root.is_dir():
        raise UserError(
            f"datasets.{dataset}.root is {chosen.root}, which is not a folder; give the release's top folder."
        )
    if (grounding := chosen.grounding_file) is not None and not grounding.is_file():
        raise UserError(f"datasets.{dataset}.grounding is {chosen.grounding}, which is not a file.")
    target = layout.raw(dataset)
    pointer = _pointer(dataset, False, str(root.resolve()), str(grounding) if grounding else None, fingerprint(root))
    with files.replacing(target) as part:
        part.mkdir()
        files.write_json(part / "pointer.json", pointer)


def render(dataset: str, chosen: settings.Settings) -> None:
    """Render one phantom dataset into data/raw/<dataset>/, whole or not at all."""
    import pandas as pd

    from benchmark.cohort.phantom import rendering as cohort
    from benchmark.cohort.phantom import studies
    from benchmark.materials import contents

    phantom = chosen.phantom
    if dataset not in phantom.studies:
        raise UserError(f"params.yaml: phantom.studies lacks {dataset}; say how many studies to render.")
    writer = importlib.import_module(f"benchmark.cohort.phantom.layouts.{dataset}")
    planned = studies.choose(dataset, contents.open_i_reports(), phantom.studies[dataset], phantom.seed)
    target = layout.raw(dataset)
    with files.replacing(target) as part:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        jobs = [
            cohort.Job(study, repeat, phantom.image_size, phantom.seed, part, writer.write_image)
            for study in planned
            for repeat in range(writer.repeats(study, phantom.seed))
        ]
        made = cohort.rendered(jobs, chosen.cohort.workers)
        images = list(with_progress(made, f"rendering {dataset} (PHANTOM)", total=len(jobs)))
        writer.write_tables(planned, images, part, phantom.seed)
        provenance = pd.DataFrame(
            {
                "image_id": [image["image_id"] for image in images],
                "study": [image["number"] for image in images],
                "report": [planned[image["number"]].report.uid for image in images],
                "planned": [[f.kind for f in planned[image["number"]].findings] for image in images],
                "drawn": [image["drawn"] for image in images],
            }
        )
        files.write_parquet(part / "provenance.parquet", provenance)
        mark = files.sha256_json([phantom.model_dump(), dataset])
        files.write_json(part / "pointer.json", _pointer(dataset, True, target.as_posix(), None, mark))


def run(dataset: str) -> None:
    """Stage ``raw`` for one dataset."""
    chosen = settings.load()
    if chosen.datasets[dataset].is_phantom:
        render(dataset, chosen)
    else:
        point(dataset, chosen.datasets[dataset])
        say(f"raw: {layout.raw(dataset)}/pointer.json names {chosen.datasets[dataset].root}")

"""Stage ``raw``: the phantom in a dataset's published layout, or a pointer to the user's own release.

Either way ``data/raw/<dataset>/pointer.json`` names the root that the adapter reads. What a real root holds is looked
at by every `dvc repro` (benchmark/planning/outside.py), since DVC does not hash what lies outside.
"""

from __future__ import annotations

import importlib
import shutil

from benchmark.cohort import pointer
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import say, with_progress
from benchmark.pipeline import layout, settings


def point(dataset: str, chosen: settings.DatasetSettings) -> None:
    """Write pointer.json for a release on the user's disk.

    Raises:
        UserError: the root does not exist.
    """
    root = chosen.folder
    if not root.is_dir():
        raise UserError(f"datasets.{dataset}.root is {chosen.root}, which is no folder; give the release's top folder.")
    target = layout.raw(dataset)
    with files.replacing(target) as part:
        part.mkdir()
        pointer.write(part, dataset, False, str(root.resolve()))


def render(dataset: str, chosen: settings.Settings) -> None:
    """Render one phantom dataset into data/raw/<dataset>/, whole or not at all."""
    import pandas as pd

    from benchmark.cohort.phantom import beside, studies
    from benchmark.cohort.phantom import rendering as cohort

    phantom = chosen.phantom
    if dataset not in phantom.studies:
        raise UserError(f"params.yaml: phantom.studies lacks {dataset}; say how many studies to render.")
    writer = importlib.import_module(f"benchmark.cohort.phantom.layouts.{dataset}")
    planned = studies.choose(dataset, phantom.studies[dataset], phantom.seed)
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
                "source": [planned[image["number"]].source for image in images],
                "planned": [[f.kind for f in planned[image["number"]].findings] for image in images],
                "view": [image["view"] for image in images],
                "drawn": [image["drawn"] for image in images],
            }
        )
        files.write_parquet(part / "provenance.parquet", provenance)
        files.write_json(part / pointer.SHARES, beside.compared(dataset, planned, images))
        pointer.write(part, dataset, True, target.as_posix())


def run(dataset: str) -> None:
    """Stage ``raw`` for one dataset."""
    chosen = settings.load()
    if chosen.datasets[dataset].is_phantom:
        render(dataset, chosen)
    else:
        point(dataset, chosen.datasets[dataset])
        say(f"raw: {layout.raw(dataset)}/pointer.json names {chosen.datasets[dataset].root}")

"""``python -m benchmark sheet DATASET``: some studies of the phantom with the boxes of what was drawn, to look at."""

from __future__ import annotations

from pathlib import Path

from benchmark.common.errors import UserError
from benchmark.common.progress import say
from benchmark.pipeline import layout, settings


def path_of(dataset: str) -> Path:
    """Where the sheet of a dataset is written; no stage reads it."""
    return layout.raw(".sheets") / f"{dataset}.png"


def run(dataset: str) -> None:
    """Draw the contact sheet of a phantom dataset as params.yaml describes it.

    Raises:
        UserError: the dataset is a real release, whose images stay where they are.
    """
    from benchmark.cohort.phantom import contact_sheet

    values = settings.load()
    if not values.datasets[dataset].is_phantom:
        raise UserError(
            f"{dataset} is not the phantom: its images are patients' and are shown in the reports alone, "
            f"where datasets.{dataset}.share_examples allows it."
        )
    contact_sheet.contact_sheet(
        dataset, path_of(dataset), seed=values.phantom.seed, studies=values.phantom.studies[dataset], count=40
    )
    say(f"sheet: {path_of(dataset)} shows what was drawn; boxes surround each finding")

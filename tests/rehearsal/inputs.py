"""What a rehearsed stage reads where the stage before would take hours: ``python -m tests.rehearsal.inputs WHAT``."""

from __future__ import annotations

import shutil
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from benchmark.cohort.adapters import padchest
from benchmark.common import files
from benchmark.pipeline import layout, workspace
from tests.benchmark import synthetic_run
from tests.rehearsal import texts, trees
from tests.repository import REPOSITORY

LABELLED = 39_053
"""Images of PadChest that physicians labelled."""
SAMPLE = 4_000
"""Images of a dataset that are decoded."""
LOCALISED = 3
"""Findings of an image with a place, at most: a row of PadChest's table has two or three labels, not half of 193."""
POINTING = "pointing.parquet"
SEEDS = (0, 1, 2)
IMAGES = {"mimic_cxr": 900, "vindr_cxr": 3_000, "open_i": 7_470, "chexpert": 500, "padchest": LABELLED}
"""A quarter of MIMIC-CXR's validates, and no more than are paired (`pairs.MOST_PAIRS`): the run holds all its pairs."""
MATERIAL = REPOSITORY / layout.MATERIALS


def work(place: Path) -> None:
    """The trees, and a workspace of the smallest profile whose roots are these trees."""
    complete = place / "trees" / ".complete"
    if not complete.exists():
        shutil.rmtree(place / "trees", ignore_errors=True)
        trees.lay_out(place / "trees", MATERIAL)
        complete.touch()
    folder = place / "work"
    workspace.create(folder, "smoke", REPOSITORY)
    values = yaml.safe_load((folder / layout.PARAMS).read_text())
    for dataset in layout.DATASETS:
        values["datasets"][dataset] = {"root": str(place / "trees" / dataset), "labels": "published"}
    values["cohort"] = {"size": 16, "decode": "published", "max_missing": 0.01}
    (folder / layout.PARAMS).write_text(yaml.safe_dump(values))


def sample(place: Path) -> None:
    """Of each dataset's list of files a part, evenly spread."""
    for dataset in layout.DATASETS:
        path = place / "work" / layout.index(dataset) / "files.parquet"
        listed = pd.read_parquet(path)
        files.write_parquet(path, listed.iloc[:: max(len(listed) // SAMPLE, 1)])


def reports(place: Path) -> None:
    """The index of a cohort of all 227,827 studies with a report."""
    generator = np.random.default_rng(6)
    said = [" ".join(parts) for parts in texts.reports(MATERIAL, trees.REPORTS)]
    patient = np.sort(generator.integers(0, trees.PATIENTS, trees.REPORTS))
    index = pd.DataFrame(
        {
            "study_id": [str(50_000_000 + number) for number in range(trees.REPORTS)],
            "patient_id": [str(10_000_000 + number) for number in patient],
            "split": np.where(patient % 100 == 0, "validate", "train"),
            "report": said,
            "normal": pd.array(generator.integers(0, 2, trees.REPORTS), dtype="Int8"),
        }
    )
    files.write_parquet(place / "work" / layout.cohort(layout.TRAINING_DATASET) / "index.parquet", index)


def scores(place: Path) -> None:
    """What nine runs said of every image, PadChest's 39,053 against 193 classes among them."""
    folder = place / "scores"
    folder.mkdir()
    warnings.simplefilter("ignore", pd.errors.PerformanceWarning)  # of 193 columns that are added one by one
    names = [name for name in padchest.vocabulary() if name != padchest.NORMAL]
    synthetic_run.FINDINGS["padchest"] = names
    synthetic_run.write(folder, images=IMAGES, replicates=2000, seeds=SEEDS, ablation=())
    for path in sorted(folder.glob(f"scores/*/{POINTING}")):
        files.write_parquet(path, localised(pd.read_parquet(path)))


def localised(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of pointing.parquet with as many findings an image as a real table localises, in their order."""
    shuffled = rows.sample(frac=1, random_state=0)
    return shuffled.groupby(["dataset", "image_id", "heatmap"]).head(LOCALISED).sort_index().reset_index(drop=True)


if __name__ == "__main__":
    {"work": work, "sample": sample, "reports": reports, "scores": scores}[sys.argv[1]](Path(sys.argv[2]))

"""A synthetic run with everything that `report` and `track` read: scored, measured, with images to show."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.common import files
from benchmark.pipeline import layout
from benchmark.pipeline.settings import Settings
from benchmark.statistics import coverage, measure
from tests.benchmark import synthetic_run

SIDE = 32
ABLATION = ("carzero_filter", "offclip_nofilter")


@contextmanager
def working_in(folder: Path):
    """Change the working directory for the block."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def write(
    root: Path, *, images: int = 120, replicates: int = 60, ablation: tuple[str, ...] = ABLATION, **chosen: Any
) -> Settings:
    """Write the files below ``root`` and measure them; ``chosen``: further arguments of ``synthetic_run.write``."""
    configured = synthetic_run.write(root, images=images, replicates=replicates, ablation=ablation, **chosen)
    with working_in(root):
        generator = np.random.default_rng(5)
        for dataset in layout.DATASETS:
            rendered = generator.integers(0, 256, (images, SIDE, SIDE), dtype=np.uint8)
            np.save(layout.cohort(dataset) / "images.npy", rendered)
        for folder in sorted(Path("scores").iterdir()):
            _examples(folder, generator)
        share = {"estimate": 0.9375, "low": 0.905, "high": 0.959, "n": 312}
        quality = {"classifier": {"accuracy": share}, "filter": {"sentences": 2480, "removed": 613}}
        files.write_json(layout.CAPTIONS / "quality.json", quality)
        measure.run()
        files.write_csv(layout.RESULTS / "coverage.csv", _coverage())
    return configured


def _coverage() -> pd.DataFrame:
    """A coverage table of few studies, whatever the repository keeps."""
    scenario = coverage.COVERED[3]
    rows = coverage.coverage(scenario, 20)
    rows += coverage.rejections("rejection", scenario, scenario.auc, 20, lambda share: share <= coverage.REJECTIONS)
    rows += coverage.rejections("power", scenario, 0.9, 5, lambda share: None)
    return pd.DataFrame(rows, columns=coverage.COLUMNS)


def _examples(folder: Path, generator: np.random.Generator) -> None:
    hits = pd.read_parquet(folder / "pointing.parquet")
    described = [
        {
            "dataset": row["dataset"],
            "image_id": row["image_id"],
            "row": int(row["image_id"].rsplit("-", 1)[1]),
            "finding": row["finding"],
            "kind": row["kind"],
            "outcome": "hit" if row["hit"] else "miss",
            "rule": "the first images of each finding",
            "bounds": [4, 6, 18, 16],
        }
        for row in hits.drop_duplicates(["dataset", "finding"]).to_dict("records")
    ]
    np.savez(folder / "examples.npz", heatmaps=generator.random((len(described), 8, 8)).astype(np.float32))
    files.write_json(folder / "examples.json", described)

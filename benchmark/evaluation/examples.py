"""Which images illustrate the heatmaps: chosen from the cohort alone, so that every system shows the same ones.

Per dataset the three findings with the most grounded images; of each, the image whose identifier has the
smallest SHA-256. No score, hit or label of a system has a say, so no example can be picked because it looks good.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark.common import files
from benchmark.evaluation.pointing import Pointed
from benchmark.evaluation.regions import Region

PER_DATASET = 3
RULE = "of the three findings with the most grounded images, the image whose identifier has the smallest SHA-256"


def choose(regions: Sequence[Region], count: int = PER_DATASET) -> list[Region]:
    """Pick ``count`` examples of one dataset, each another image where possible.

    Args:
        regions: the dataset's grounding truth, one per image and finding.
        count: findings to show; fewer where the dataset has fewer.
    """
    most = Counter(region.finding for region in regions)
    findings = sorted(most, key=lambda finding: (-most[finding], finding))[:count]
    chosen: list[Region] = []
    for finding in findings:
        having = sorted((r for r in regions if r.finding == finding), key=lambda region: _order(region.image_id))
        taken = {region.image_id for region in chosen}
        chosen.append(next((region for region in having if region.image_id not in taken), having[0]))
    return chosen


def _order(image_id: str) -> str:
    return hashlib.sha256(image_id.encode()).hexdigest()


def write(folder: Path, pointed_by_dataset: dict[str, list[Pointed]]) -> None:
    """Write examples.npz (``heatmaps`` float32 (n, h, w)) and examples.json (what each shows; docs/files.md)."""
    heatmaps, described = [], []
    for dataset, pointed in pointed_by_dataset.items():
        by_key = {(p.region.image_id, p.region.finding): p for p in pointed}
        for region in choose([p.region for p in pointed]):
            shown = by_key[region.image_id, region.finding]
            heatmaps.append(shown.heatmap)
            described.append(
                {
                    "dataset": dataset,
                    "image_id": region.image_id,
                    "row": shown.row,
                    "finding": region.finding,
                    "kind": region.kind,
                    "outcome": "hit" if shown.result.hit else "miss",
                    "rule": RULE,
                    "bounds": shown.bounds,
                }
            )
    np.savez(folder / "examples.npz", heatmaps=np.stack(heatmaps) if heatmaps else np.empty((0, 1, 1), np.float32))
    files.write_json(folder / "examples.json", described)

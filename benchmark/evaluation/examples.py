"""Which pictures illustrate the heatmaps: chosen from the cohort alone, so that every system shows the same ones.

Per dataset the three findings with the most grounded pictures; of each, the picture whose identifier has the
smallest SHA-256. No score, hit or label of a system has a say, so no example can be picked because it looks good.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from benchmark.evaluation.regions import Region

PER_DATASET = 3
RULE = "of the three findings with the most grounded pictures, the picture whose identifier has the smallest SHA-256"


def choose(regions: Sequence[Region], count: int = PER_DATASET) -> list[Region]:
    """Pick ``count`` examples of one dataset, each another picture where possible.

    Args:
        regions: the dataset's grounding truth, one per picture and finding.
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

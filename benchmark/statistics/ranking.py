"""Which of several released models is best: every pair is tested, because the best one is chosen by the same data.

A difference from the best is no difference from a system named beforehand: whichever model happens to lie on top is
compared, and its luck is part of the comparison. So the family is every pair of the compared systems, whether it is
shown or not. Holm's adjustment over all of them, and intervals that hold for all of them at once (Bonferroni's: each
pair at level 1 - alpha / pairs), are valid for any pair that the data choose, "against the best" among them. One
quantity is tested: normal AUC by the published prompt, on the mean over datasets. docs/statistics.md compares this with
Hsu's multiple comparisons with the best.
Sources: Holm (1979); Hsu (1996), Multiple Comparisons, chapters 4 and 5.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from benchmark.artifacts.columns import OVERALL
from benchmark.artifacts.run import Run
from benchmark.pipeline.settings import Settings
from benchmark.statistics import tables
from benchmark.statistics.comparison import holm
from benchmark.statistics.quantities import Quantity
from benchmark.statistics.tables import Contrast, Row

RANKED = Quantity("auc", "normal_auc", score="prompt")


def pairs(settings: Settings) -> list[tuple[str, str]]:
    """Every pair of the compared systems where all are released ones; none where something was trained."""
    if not all(settings.systems[name].is_released for name in settings.compare):
        return []
    return list(combinations(settings.compare, 2))


def rows(found: list[tuple[str, Contrast]], runs: dict[tuple[str, int], Run], settings: Settings) -> list[Row]:
    """Rows of ranking.csv.

    Args:
        found: (dataset, contrast), those on the mean over datasets among them.
        runs: (system, seed) -> its run.
        settings: whose ``statistics.level`` holds for all pairs together.
    """
    family = pairs(settings)
    each = 1 - (1 - settings.statistics.level) / max(len(family), 1)
    chosen = settings.statistics.model_copy(update={"level": each})
    result: list[Row] = []
    for dataset, one in found:
        if dataset == OVERALL and one.quantity == RANKED and one.systems in family:
            a, b = one.systems
            row = tables.contrast_row(dataset, one, runs, chosen)
            result.append({"a": a, "b": b, "level": each, "pairs": len(family)} | row)
    for row, adjusted in zip(result, holm(np.array([row["p"] for row in result], float)), strict=True):
        row["p_holm"] = adjusted
    return result

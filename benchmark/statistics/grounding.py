"""Grounding with intervals: pointing game, contrast-to-noise and mIoU, per finding, macro and by region size.

The geometry (what counts as a hit) was settled when the heatmaps were scored; here a row of
pointing.parquet is one image with one finding, and patients are resampled as everywhere. A pointing rate carries
the chance of a blind hit, so that a table can put it beside the rate. A measure that a row does not offer (NaN) leaves
the row out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.statistics.bootstrap import Draws, Resampled, mean, resampled_ratios

MEASURES = {"pointing": "hit", "cnr": "cnr", "miou": "miou"}
SIZES = ("small", "medium", "large")


@dataclass(frozen=True)
class Grounded:
    """One line of grounding.csv before its interval: `finding` "" is the macro, `size` "all" or a tercile."""

    finding: str
    measure: str
    size: str
    statistic: Resampled
    chance: float
    """Of a blind hit; NaN for the other measures."""
    n: int


def grounded(rows: pd.DataFrame, image_ids: pd.Series, draws: Draws, min_positives: int) -> list[Grounded]:
    """Every measure of one run on one dataset.

    Args:
        rows: of pointing.parquet: image_id, finding, hit, chance, cnr, miou, size.
        image_ids: (n,) the images that ``draws`` resamples.
        draws: of the n images.
        min_positives: findings with rows of fewer patients get no line and no part in the macro.
    """
    image = pd.Index(image_ids).get_indexer(rows["image_id"])
    cuts = rows.drop_duplicates(["image_id", "finding"])["size"].quantile([1 / 3, 2 / 3]).to_numpy(float)
    stratum = np.where(np.isnan(rows["size"]), -1, np.searchsorted(cuts, rows["size"], side="left"))
    lines: list[Grounded] = []
    for measure, column in MEASURES.items():
        values = rows[column].to_numpy(float, na_value=np.nan)
        lines += _lines(rows, measure, "all", values, np.isfinite(values), image, draws, min_positives, True)
        for k, size in enumerate(SIZES):
            chosen = np.isfinite(values) & (stratum == k)
            lines += _lines(rows, measure, size, values, chosen, image, draws, min_positives, False)
    return lines


def _lines(
    rows: pd.DataFrame,
    measure: str,
    size: str,
    values: NDArray,
    chosen: NDArray[np.bool_],
    image: NDArray,
    draws: Draws,
    min_positives: int,
    each_finding: bool,
) -> list[Grounded]:
    """The findings' lines (where asked for) and their macro."""
    finding = rows["finding"].to_numpy(str)
    counts = pd.Series(finding[chosen]).value_counts()
    patients = pd.Series(draws.cluster[image[chosen]]).groupby(finding[chosen]).nunique()
    findings = sorted(patients.index[patients >= min_positives])
    if not findings:
        return []
    tops, bottoms = [], []
    for name in findings:
        mine = chosen & (finding == name)
        tops.append(np.bincount(image[mine], weights=values[mine], minlength=len(draws.cluster)))
        bottoms.append(np.bincount(image[mine], minlength=len(draws.cluster)))
    statistics = resampled_ratios(np.stack(tops, axis=1), np.stack(bottoms, axis=1), draws)
    chance = rows["chance"].to_numpy(float) if measure == "pointing" else np.full(len(rows), np.nan)
    chances = [float(chance[chosen & (finding == name)].mean()) for name in findings]
    lines = []
    if each_finding:
        lines = [
            Grounded(name, measure, size, statistic, at_random, int(counts[name]))
            for name, statistic, at_random in zip(findings, statistics, chances, strict=True)
        ]
    total = int(counts[findings].sum())
    return [*lines, Grounded("", measure, size, mean(statistics), float(np.mean(chances)), total)]

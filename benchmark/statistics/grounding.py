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
    names, finding = np.unique(rows["finding"].to_numpy(str), return_inverse=True)
    image = pd.Index(image_ids).get_indexer(rows["image_id"])
    chance = rows["chance"].to_numpy(float)
    cuts = rows.drop_duplicates(["image_id", "finding"])["size"].quantile([1 / 3, 2 / 3]).to_numpy(float)
    stratum = np.where(np.isnan(rows["size"]), -1, np.searchsorted(cuts, rows["size"], side="left"))
    lines: list[Grounded] = []
    for measure, column in MEASURES.items():
        values = rows[column].to_numpy(float, na_value=np.nan)
        at_random = chance if measure == "pointing" else np.full(len(rows), np.nan)
        for size in ("all", *SIZES):
            chosen = np.isfinite(values) & (size == "all" or stratum == SIZES.index(size))
            these = _Rows(finding[chosen], image[chosen], values[chosen], at_random[chosen])
            found = _lines(measure, size, these, names, draws, min_positives)
            lines += found if size == "all" else found[-1:]
    return lines


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows that count in one measure and size: finding and image by number, value, chance of a blind hit."""

    finding: NDArray[np.intp]
    image: NDArray[np.intp]
    values: NDArray[np.float64]
    chance: NDArray[np.float64]


def _lines(
    measure: str, size: str, rows: _Rows, names: NDArray[np.str_], draws: Draws, min_positives: int
) -> list[Grounded]:
    """The findings' lines and, last, their macro; none where no finding has enough patients."""
    seen = np.unique(np.stack([rows.finding, draws.cluster[rows.image]]), axis=1)
    patients = np.bincount(seen[0], minlength=len(names))
    findings = np.flatnonzero((patients > 0) & (patients >= min_positives))
    if not len(findings):
        return []
    # One column for each of them, and the rows in their order: a sum over a finding's rows adds in that order.
    place = np.full(len(names), -1)
    place[findings] = np.arange(len(findings))
    kept = place[rows.finding] >= 0
    column, image, values = place[rows.finding[kept]], rows.image[kept], rows.values[kept]
    shape = (len(draws.cluster), len(findings))
    cell = image * len(findings) + column
    tops = np.bincount(cell, weights=values, minlength=shape[0] * shape[1]).reshape(shape)
    bottoms = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    counts = np.bincount(column)
    by_finding = np.split(rows.chance[kept][np.argsort(column, kind="stable")], np.cumsum(counts)[:-1])
    statistics = resampled_ratios(tops, bottoms, draws)
    chances = [float(chances.mean()) for chances in by_finding]
    lines = [
        Grounded(str(names[which]), measure, size, statistic, at_random, int(count))
        for which, statistic, at_random, count in zip(findings, statistics, chances, counts, strict=True)
    ]
    total = Grounded("", measure, size, mean(statistics), float(np.mean(chances)), int(counts.sum()))
    return [*lines, total]

"""The supervised reference of a dataset, where it points, and which findings somebody sees: it or a system."""

from __future__ import annotations

import numpy as np

from benchmark.artifacts.cohort import Cohort
from benchmark.artifacts.columns import SUPERVISED
from benchmark.artifacts.reading import read_json, read_table
from benchmark.artifacts.run import pointing
from benchmark.artifacts.scores import FINDING, THUMBNAIL, aligned, check_cohort, numbers
from benchmark.pipeline import layout
from benchmark.pipeline.settings import StatisticsSettings
from benchmark.statistics import quantities, tables
from benchmark.statistics.bootstrap import Draws, auc_with_influence, mean, resampled_aucs
from benchmark.statistics.intervals import SHARE, interval, lower_bound
from benchmark.statistics.quantities import Findings, Scored, told_apart
from benchmark.statistics.tables import Row


def grounding_rows(cohort: Cohort, draws: Draws, chosen: StatisticsSettings) -> list[Row]:
    """Rows of grounding.csv: the reference measured as a system is, with one training and so no seeds.

    Raises:
        UserError: probe/pointing.parquet is missing or damaged.
    """
    rows = pointing(layout.PROBE / "pointing.parquet", cohort)
    named = {"seed": "all", "seeds": 1, "seed_sd": np.nan, "cohort_hash": cohort.fingerprint}
    return [
        tables.named(key, part, cohort.dataset, SUPERVISED)
        | tables.bounds(part.statistic, chosen, part.within, 1)
        | named
        for key, part in quantities.pointed(rows, cohort, draws, chosen.min_positives).items()
    ]


def detected(
    scored: dict[tuple[str, int], Scored], draws: Draws, chosen: StatisticsSettings, defined: list[str]
) -> frozenset[str]:
    """The findings that some system detects: the lower bound of its AUC, mean over seeds, lies above `visible_above`.

    The bound is that over patients, from influences alone; `auc.csv` has the one with seeds and replicates.
    """
    found = set()
    for system in dict.fromkeys(system for system, _ in scored):
        mine = [one for pair, one in scored.items() if pair[0] == system]
        truth = mine[0].cohort.labels(defined)
        for k, finding in enumerate(defined):
            each = [auc_with_influence(truth[:, k], one.findings[:, k], draws) for one in mine]
            low = lower_bound(float(np.mean([a for a, _ in each])), np.mean([u for _, u in each], axis=0), chosen.level)
            if low > chosen.visible_above:
                found.add(finding)
    return frozenset(found)


def ceiling(
    cohort: Cohort,
    defined: list[str],
    seen: frozenset[str],
    draws: Draws,
    chosen: StatisticsSettings,
) -> tuple[Findings, list[Row]]:
    """Which findings are visible, and the supervised reference's and the thumbnails' AUCs as rows of ceiling.csv.

    A finding is visible when the lower bound of the reference's AUC lies above `visible_above`, or a system detects it:
    what somebody sees can be seen, so a system that is better than the reference loses nothing by it.

    Args:
        cohort: of the dataset.
        defined: the measurable findings.
        seen: those that a system detects.
        draws: of the dataset's patients.
        chosen: the settings' statistics.
    """
    card = layout.PROBE / "probe.json"
    check_cohort(card, read_json(card), cohort)
    path = layout.PROBE / f"{cohort.dataset}.parquet"
    table = aligned(read_table(path), cohort.index["image_id"], path)
    names = ["normal", THUMBNAIL, *[FINDING + finding for finding in defined]]
    labels = np.column_stack([cohort.normal, cohort.normal, cohort.labels(defined)])
    statistics = resampled_aucs(labels, numbers(table, names, path), draws, names)
    lows = [interval(statistic, chosen.interval, chosen.level).low for statistic in statistics]
    visible = [
        finding for finding, low in zip(defined, lows[2:], strict=True) if low > chosen.visible_above or finding in seen
    ]
    each = dict(zip(defined, statistics[2:], strict=True))
    normal = int(np.nansum(cohort.normal))
    entries = [("normal_auc", "", statistics[0], normal), ("thumbnail", "", statistics[1], normal)]
    for quantity, group in (("abnormal_auc", defined), ("abnormal_auc_visible", visible)):
        if group:
            entries.append((quantity, "", mean([each[finding] for finding in group]), len(group)))
    entries += [("abnormal_auc", finding, each[finding], cohort.positives(finding)) for finding in defined]
    rows: list[Row] = [
        {"dataset": cohort.dataset, "quantity": quantity, "finding": finding, "n": len(cohort.index)}
        | {"positives": positives, "visible": int(finding in visible) if finding else None}
        | {"cohort_hash": cohort.fingerprint}
        | tables.bounds(statistic, chosen, SHARE, 1)
        for quantity, finding, statistic, positives in entries
    ]
    return Findings(defined, visible, apart=told_apart(cohort, defined, chosen.min_positives)), rows

"""The supervised reference's rows of grounding.csv: measured as a system is, with one training and so no seeds."""

from __future__ import annotations

import numpy as np

from benchmark.artifacts.cohort import Cohort
from benchmark.artifacts.columns import SUPERVISED
from benchmark.artifacts.run import pointing
from benchmark.pipeline import layout
from benchmark.pipeline.settings import StatisticsSettings
from benchmark.statistics import quantities, tables
from benchmark.statistics.bootstrap import Draws
from benchmark.statistics.tables import Row


def grounding_rows(cohort: Cohort, draws: Draws, chosen: StatisticsSettings) -> list[Row]:
    """Pointing game, CNR and mIoU of the reference on one dataset, patients resampled by ``draws``.

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

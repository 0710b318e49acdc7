"""The numbers that stand first in a comparison, read from the result tables: per dataset and as means."""

from __future__ import annotations

import pandas as pd

from benchmark.artifacts import select
from benchmark.artifacts.columns import PUBLISHED
from benchmark.artifacts.evidence import Evidence

HEADLINE = (("normal_auc", "prompt"), ("abnormal_auc", ""), ("abnormal_auc_visible", ""), ("pointing", ""))
"""(quantity, score) that head every comparison."""


def macro(
    found: Evidence, dataset: str, system: str, quantity: str, score: str = "", heatmap: str = PUBLISHED
) -> select.Row | None:
    """A system's headline number on one dataset: mean over seeds, whole budget, macro over findings."""
    if quantity in ("pointing", "cnr", "miou"):
        return select.one(
            found.results["grounding"],
            dataset=dataset,
            system=system,
            seed="all",
            heatmap=heatmap,
            finding="",
            measure=quantity,
            size="all",
        )
    return select.one(
        found.results["auc"],
        dataset=dataset,
        system=system,
        seed="all",
        quantity=quantity,
        score=score,
        finding="",
        progress=1.0,
    )


def over_datasets(found: Evidence, system: str, quantity: str, score: str = "") -> float:
    """Mean of ``macro`` over the evaluation datasets; NaN where one of them lacks it."""
    rows = [macro(found, dataset, system, quantity, score) for dataset in found.datasets]
    return sum(row["estimate"] if row else float("nan") for row in rows) / max(len(rows), 1)


def metrics(found: Evidence) -> dict[str, dict[str, float]]:
    """reports/metrics.json, the few numbers of `dvc metrics` and `dvc exp show`: system -> quantity -> mean."""
    means = {s: {q: over_datasets(found, s, q, k) for q, k in HEADLINE} for s in found.systems}
    return {s: {q: value for q, value in row.items() if pd.notna(value)} for s, row in means.items()}

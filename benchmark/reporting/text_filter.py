"""The table on the text filter: how well sentences are judged, and what was removed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import tables
from benchmark.reporting.tables import Column, Table

BOUNDS = ("estimate", "low", "high")
QUALITY = {
    "classifier: accuracy": "Accuracy of the sentence classifier",
    "classifier: accuracy unseen": "the same, on sentences that occur in no training report",
    "classifier: accuracy occurrence weighted": "the same, weighted by how often a sentence occurs",
    "classifier: sensitivity abnormal": "Abnormal sentences called abnormal (sensitivity)",
    "classifier: specificity normal": "Normal sentences called normal (specificity)",
    "classifier: normal among kept": "Normal sentences among those that it would keep",
    "alternatives: rules": "Accuracy of negation rules instead",
    "alternatives: study label": "Accuracy of a classifier that learns each study's label for all its sentences",
    "filter: sentences": "Sentences of the training reports",
    "filter: sentences of abnormal studies": "Sentences of the abnormal reports",
    "filter: removed": "of these, removed by the filter",
    "filter: removed share of abnormal studies": "share removed",
    "filter: agreement with study label": "Reports whose pair label agrees with the study's own label",
    "filter: abnormal label called normal": "Abnormal studies whose pair label is normal",
    "filter: normal label called abnormal": "Normal studies whose pair label is abnormal",
    "prompting: sentences": "Sentences with a prompted form",
    "prompting: abnormal sentences": "Abnormal sentences with a prompted form",
    "prompting: normal sentences": "Normal sentences with a prompted form",
}
"""Numbers of quality.json in the order and the words of the report; all of them are in the CSV."""


def quality(found: Evidence) -> Table:
    """How well normal sentences are distinguished from abnormal ones, and what the filter removed."""
    records = _measured(found.quality)
    measured = {str(r["quantity"]): r for r in records}
    cells = [
        [words, _shown(measured[key]), tables.count(measured[key]["n"])]
        for key, words in QUALITY.items()
        if key in measured
    ]
    return tables.table(
        "text_filter",
        "The sentence classifier on hand-labelled sentences of held-out reports, and what the filter and the prompting "
        "did to the training reports.",
        [Column("Quantity", "left"), Column("Value [95 % Wilson interval]"), Column("n")],
        cells,
        pd.DataFrame(records),
    )


def _measured(value: Mapping[str, Any], prefix: str = "") -> list[dict[str, Any]]:
    """Nested numbers by name, with their intervals; text is left out, for it could quote a report."""
    records: list[dict[str, Any]] = []
    for key, inner in value.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(inner, Mapping) and "estimate" in inner:
            records.append({"quantity": name, **{k: inner.get(k, float("nan")) for k in (*BOUNDS, "n")}})
        elif isinstance(inner, Mapping):
            records += _measured(inner, f"{name}: ")
        elif isinstance(inner, int | float):
            records.append({"quantity": name, "estimate": inner, **dict.fromkeys((*BOUNDS[1:], "n"), float("nan"))})
    return records


def _shown(record: Mapping[str, Any]) -> str:
    return tables.count(record["estimate"]) if isinstance(record["estimate"], int) else tables.estimate(record)

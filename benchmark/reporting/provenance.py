"""The table of what a report rests on: code, settings, cohorts, packages, hardware."""

from __future__ import annotations

import pandas as pd

from benchmark.artifacts.evidence import Evidence
from benchmark.pipeline import provenance
from benchmark.reporting import names, tables
from benchmark.reporting.tables import Column, Table

SHOWN = 16
"""Characters of a hash that are printed; the CSV has it whole."""


def build(found: Evidence) -> Table:
    """Commit, dvc.lock hash, settings hash, cohort fingerprints, versions, hardware; no time of day."""
    values = {
        "Commit of the code": provenance.commit(),
        "dvc.lock (up to stage measure)": provenance.lock_hash(),
        "params.yaml": provenance.params_hash(),
    }
    values |= {f"Cohort {names.dataset(name)}": str(card["fingerprint"]) for name, card in found.cards.items()}
    trained = [run.ledger for run in found.runs if run.ledger]
    for key, words in (("hardware", "Trained on"), ("precision", "Precision"), ("threads", "Threads")):
        values[words] = ", ".join(sorted({str(entry[key]) for entry in trained if key in entry}))
    packages = sorted({f"{name} {v}" for entry in trained for name, v in entry.get("versions", {}).items()})
    values["Packages when training"] = ", ".join(packages)
    values["Packages when reporting"] = ", ".join(f"{name} {v}" for name, v in provenance.versions().items())
    data = pd.DataFrame([{"item": key, "value": value} for key, value in values.items() if value])
    cells = [[str(r["item"]), _short(str(r["value"]))] for r in data.to_dict("records")]
    return tables.table(
        "provenance",
        "Provenance.",
        [Column("Item", "left"), Column("Value", "left", wide=1)],
        cells,
        data,
    )


def _short(value: str) -> str:
    head, plus, tail = value.partition("+")
    is_hash = len(head) >= 40 and all(c in "0123456789abcdef" for c in head)
    return f"{head[:SHOWN]}{plus}{tail}" if is_hash else value

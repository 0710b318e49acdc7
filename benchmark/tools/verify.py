"""``python -m benchmark verify``: does a fresh run agree with the reference results of the repository?

The same machine gives the same bytes; another CPU rounds differently, and training carries that on as
another seed would. So a number agrees when it lies within half the width of the reference's own
interval. What differs is listed with what may explain it: settings, packages, hardware, code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.artifacts import evidence
from benchmark.artifacts.evidence import Evidence
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import say
from benchmark.pipeline import layout, provenance, settings

REFERENCE = layout.REPORTS / "reference"
PROVENANCE = "provenance.json"
FLOOR = 1e-3
"""Least tolerance, for numbers without an interval or with a very narrow one."""
LISTED = 20
"""Disagreements printed; the worst first."""
SAVED = ("estimate", "low", "high")


@dataclass(frozen=True)
class Compared:
    """Which rows of a results table are compared, and what names a row."""

    keys: tuple[str, ...]
    rows: Mapping[str, Any]
    """Column to the value that it must have."""


TABLES: dict[str, Compared] = {
    "auc": Compared(("dataset", "system", "quantity", "score"), {"seed": "all", "finding": "", "progress": 1.0}),
    "grounding": Compared(("dataset", "system", "measure"), {"seed": "all", "finding": "", "size": "all"}),
    "differences": Compared(("dataset", "quantity", "score", "rule", "a", "b"), {}),
    "operating": Compared(("dataset", "system", "rule", "quantity"), {"seed": "all", "score": "prompt"}),
    "ceiling": Compared(("dataset", "quantity"), {"finding": ""}),
}


@dataclass(frozen=True)
class Disagreement:
    """A number outside its tolerance; ``found`` is NaN where the run has no such number."""

    name: str
    expected: float
    found: float
    tolerance: float

    @property
    def excess(self) -> float:
        """Distance in tolerances; infinite for a missing number."""
        return abs(self.found - self.expected) / self.tolerance if pd.notna(self.found) else float("inf")

    def __str__(self) -> str:
        """One line."""
        if pd.isna(self.found):
            return f"{self.name}: expected {self.expected:.4f}, missing here"
        return (
            f"{self.name}: expected {self.expected:.4f}, found {self.found:.4f} "
            f"({self.found - self.expected:+.4f}, tolerance {self.tolerance:.4f})"
        )


@dataclass(frozen=True)
class Agreement:
    """What the comparison of two sets of tables found."""

    numbers: int
    identical: int
    disagreements: tuple[Disagreement, ...]


def run(update: bool = False) -> int:
    """Compare results/ with reports/reference/, or write the reference.

    Args:
        update: replace the reference by the present results.

    Returns:
        0 where every number agrees, 1 where one does not.

    Raises:
        UserError: nothing was measured, or there is no reference that this version can read.
    """
    found = evidence.load(settings.load())
    if update:
        write(found)
        return 0
    if not (REFERENCE / PROVENANCE).exists():
        raise UserError(f"{REFERENCE} holds no reference results; `python -m benchmark verify --update` writes them.")
    agreement = compare(_tables(REFERENCE), selected(found))
    within = agreement.numbers - len(agreement.disagreements)
    say(f"{within} of {agreement.numbers} numbers within tolerance ({agreement.identical} identical)")
    for disagreement in agreement.disagreements[:LISTED]:
        say(f"  {disagreement}")
    if (rest := len(agreement.disagreements) - LISTED) > 0:
        say(f"  and {rest} more")
    reasons = explain(files.read_json(REFERENCE / PROVENANCE), _snapshot(found))
    if agreement.disagreements:
        say(
            "Likely reason: " + ("; ".join(reasons) or "nothing that was recorded differs, so please report this") + "."
        )
    return 1 if agreement.disagreements else 0


def write(found: Evidence) -> None:
    """Write the compared rows and the provenance to reports/reference/."""
    tables = selected(found)
    for stem, table in tables.items():
        files.write_csv(REFERENCE / f"{stem}.csv", table)
    files.write_json(REFERENCE / PROVENANCE, _snapshot(found))
    say(f"{REFERENCE}: {sum(len(table) for table in tables.values())} reference numbers written")


def selected(found: Evidence) -> dict[str, pd.DataFrame]:
    """The rows of each results table that are compared: their keys, estimate and interval."""
    chosen = {}
    for stem, compared in TABLES.items():
        table = found.results[stem]
        if table.empty:
            continue
        for column, value in compared.rows.items():
            table = table[table[column] == value]
        table = table.loc[table["estimate"].notna(), [*compared.keys, *SAVED]]
        chosen[stem] = table.sort_values(list(compared.keys), kind="stable").reset_index(drop=True)
    return chosen


def compare(reference: Mapping[str, pd.DataFrame], fresh: Mapping[str, pd.DataFrame]) -> Agreement:
    """Compare estimates row by row; numbers that only the fresh run has are not counted.

    Args:
        reference: tables with their keys, ``estimate``, ``low`` and ``high``.
        fresh: the same from the run in question.
    """
    numbers = identical = 0
    disagreements = []
    for stem, expected in reference.items():
        keys = TABLES[stem].keys
        known = _by_key(fresh[stem], keys) if stem in fresh else {}
        for key, row in _by_key(expected, keys).items():
            numbers += 1
            present = known.get(key)
            value = float(present["estimate"]) if present is not None else float("nan")
            identical += value == row["estimate"]
            half = (row["high"] - row["low"]) / 2
            tolerance = max(FLOOR, half) if pd.notna(half) else FLOOR
            # "not (a <= b)": a missing number (NaN) disagrees.
            if not abs(value - row["estimate"]) <= tolerance:
                name = " ".join(part for part in (stem, *key) if part)
                disagreements.append(Disagreement(name, float(row["estimate"]), value, float(tolerance)))
    disagreements.sort(key=lambda one: (-one.excess, one.name))
    return Agreement(numbers, identical, tuple(disagreements))


def explain(reference: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    """What differs between two provenance records, the weightiest reason first."""
    reasons = []
    before, now = _flat(reference["params"]), _flat(present["params"])
    changed = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    if changed:
        listed = [f"{key} is {now.get(key, 'absent')} (reference {before.get(key, 'absent')})" for key in changed[:5]]
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        reasons.append(f"params.yaml differs: {', '.join(listed)}{more}")
    if reference["hardware"] != present["hardware"]:
        reasons.append(f"trained on {_listed(present['hardware'])} (reference {_listed(reference['hardware'])})")
    packages = sorted({*reference["versions"], *present["versions"]})
    old, new = reference["versions"], present["versions"]
    if differing := [name for name in packages if old.get(name) != new.get(name)]:
        shown = [f"{name} {new.get(name, 'absent')} (reference {old.get(name, 'absent')})" for name in differing]
        reasons.append(f"packages differ: {', '.join(shown)}")
    if reference["commit"] != present["commit"]:
        reasons.append(f"the code is at {present['commit'][:12]} (reference {reference['commit'][:12]})")
    return reasons


def _snapshot(found: Evidence) -> dict[str, Any]:
    return provenance.snapshot(run.ledger for run in found.runs)


def _tables(folder: Path) -> dict[str, pd.DataFrame]:
    stored = evidence.Results(folder, complete=False)
    found = {stem: stored[stem] for stem in TABLES if stem in stored}
    for stem, table in found.items():
        if missing := [name for name in (*TABLES[stem].keys, *SAVED) if name not in table]:
            raise UserError(
                f"{folder / stem}.csv lacks the column '{missing[0]}', so another version of the harness wrote it; "
                "run `python -m benchmark verify --update` on results that you trust."
            )
    return found


def _by_key(table: pd.DataFrame, keys: Sequence[str]) -> dict[tuple[str, ...], Mapping[Any, Any]]:
    return {tuple(str(row[key]) for key in keys): row for row in table.to_dict("records")}


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {prefix.rstrip("."): value}
    return {key: inner for name, part in value.items() for key, inner in _flat(part, f"{prefix}{name}.").items()}


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values)

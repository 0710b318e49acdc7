"""``python -m benchmark verify``: does a fresh run agree with the reference results of the repository?

Three levels: identical, as the same machine gives it; equal within rounding, at most 0.001 apart; differs. Another
kind of CPU rounds differently, and training carries that on as another seed would: `--against-noise` asks whether a
number lies within what two trainings with other seeds differ by (each seed has a pretrained start of its own, so this
holds another start as well). The declared endpoints are shown beside the reference's. An interval over patients is no
tolerance, since a rerun scores the same patients. What differs is listed with what may explain it: settings,
precision, hardware, packages, code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.artifacts import evidence
from benchmark.artifacts.columns import OVERALL
from benchmark.artifacts.evidence import Evidence
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import say
from benchmark.pipeline import layout, provenance, settings
from benchmark.pipeline.settings import StatisticsSettings

REFERENCE = layout.REPORTS / "reference"
PROVENANCE = "provenance.json"
ROUNDING = 1e-3
"""Numbers this near are equal in the digits that a report prints."""
INTERVAL = "{estimate:+.3f} [{low:+.3f}, {high:+.3f}]"
LISTED = 20
"""Disagreements printed; the worst first."""
SAVED = ("estimate", "low", "high")
SPREAD = ("seeds", "seed_sd")
"""Saved too, of tables whose numbers are means over training seeds."""


@dataclass(frozen=True)
class Compared:
    """Which rows of a results table are compared, and what names a row."""

    keys: tuple[str, ...]
    rows: Mapping[str, Any]
    """Column to the value that it must have."""


TABLES: dict[str, Compared] = {
    "auc": Compared(("dataset", "system", "quantity", "score"), {"seed": "all", "finding": "", "progress": 1.0}),
    "grounding": Compared(("dataset", "system", "heatmap", "measure"), {"seed": "all", "finding": "", "size": "all"}),
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

    @property
    def equal(self) -> int:
        """Numbers within their tolerance that are not identical."""
        return self.numbers - self.identical - len(self.disagreements)


def run(update: bool = False, against_noise: bool = False) -> int:
    """Compare results/ with reports/reference/, or write the reference.

    Args:
        update: replace the reference by the present results.
        against_noise: call a number equal that another choice of training seeds would explain.

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
    reference, fresh = _tables(REFERENCE), selected(found)
    agreement = compare(reference, fresh, against_noise)
    near = "the spread of training seeds" if against_noise else f"rounding ({ROUNDING:g})"
    say(
        f"of {agreement.numbers} numbers {agreement.identical} are identical, {agreement.equal} equal within {near}, "
        f"{len(agreement.disagreements)} differ"
    )
    for disagreement in agreement.disagreements[:LISTED]:
        say(f"  {disagreement}")
    if (rest := len(agreement.disagreements) - LISTED) > 0:
        say(f"  and {rest} more")
    if not agreement.disagreements:
        return 0
    for line in declared(found.settings.statistics, reference, fresh):
        say(line)
    reasons = explain(files.read_json(REFERENCE / PROVENANCE), _snapshot(found))
    say("Likely reason: " + ("; ".join(reasons) or "nothing that was recorded differs, so please report this") + ".")
    return 1


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
        spread = [name for name in SPREAD if name in table]
        table = table.loc[table["estimate"].notna(), [*compared.keys, *SAVED, *spread]]
        chosen[stem] = table.sort_values(list(compared.keys), kind="stable").reset_index(drop=True)
    return chosen


def compare(
    reference: Mapping[str, pd.DataFrame], fresh: Mapping[str, pd.DataFrame], against_noise: bool = False
) -> Agreement:
    """Compare estimates row by row; numbers that only the fresh run has are not counted.

    Args:
        reference: tables with their keys, ``estimate``, ``low`` and ``high``.
        fresh: the same from the run in question.
        against_noise: allow for other training seeds.
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
            tolerance = max(ROUNDING, _noise(row)) if against_noise else ROUNDING
            # "not (a <= b)": a missing number (NaN) disagrees.
            if not abs(value - row["estimate"]) <= tolerance:
                name = " ".join(part for part in (stem, *key) if part)
                disagreements.append(Disagreement(name, float(row["estimate"]), value, float(tolerance)))
    disagreements.sort(key=lambda one: (-one.excess, one.name))
    return Agreement(numbers, identical, tuple(disagreements))


def declared(
    statistics: StatisticsSettings, reference: Mapping[str, pd.DataFrame], fresh: Mapping[str, pd.DataFrame]
) -> list[str]:
    """What a reader concludes from, here and in the reference: a line for each declared endpoint that both measured."""
    if "differences" not in reference or "differences" not in fresh:
        return []
    keys, lines = TABLES["differences"].keys, []
    here, there = _by_key(fresh["differences"], keys), _by_key(reference["differences"], keys)
    for one in (statistics.primary, *statistics.secondary):
        key = (OVERALL, one.quantity, one.score, one.rule, one.a, one.b)
        if key in here and key in there:
            found, expected = (INTERVAL.format(**table[key]) for table in (here, there))
            name = " ".join(part for part in (one.quantity, one.score, one.rule) if part)
            lines.append(f"  declared: {name}, {one.a} - {one.b}: {found}, reference {expected}")
    return lines


def _noise(row: Mapping[Any, Any]) -> float:
    """Two standard errors of the difference of two means over seeds; 0 where there is but one seed."""
    seeds, spread = (row.get(name, np.nan) for name in SPREAD)
    return float(2 * spread * np.sqrt(2 / seeds)) if pd.notna(spread) and seeds > 1 else 0.0


def explain(reference: Mapping[str, Any], present: Mapping[str, Any]) -> list[str]:
    """What differs between two provenance records, the weightiest reason first."""
    reasons = []
    before, now = _flat(reference["params"]), _flat(present["params"])
    changed = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    if changed:
        listed = [f"{key} is {now.get(key, 'absent')} (reference {before.get(key, 'absent')})" for key in changed[:5]]
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        reasons.append(f"params.yaml differs: {', '.join(listed)}{more}")
    # A processor's name does not tell whether it multiplies bfloat16, on which `training.precision: auto` depends.
    if (precision := reference.get("precision", ["not recorded"])) != present["precision"]:
        reasons.append(f"trained in {_listed(present['precision'])} (reference {_listed(precision)})")
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
    ledgers = [run.ledger for run in found.runs]
    precision = sorted({str(ledger["precision"]) for ledger in ledgers if "precision" in ledger})
    return {**provenance.snapshot(ledgers), "precision": precision}


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

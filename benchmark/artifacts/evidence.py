"""Everything that was measured, read once: what reports, MLflow runs and the summary are made from.

Missing optional files give empty tables, so a report says "not measured" where a stage has nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from baselines import releases
from baselines.releases import Release
from benchmark.artifacts import captions, cohort, reading
from benchmark.artifacts.columns import COLUMNS, OVERALL, columns
from benchmark.artifacts.run import Run, left_out, listed, without_absent
from benchmark.artifacts.stages import again
from benchmark.common.errors import UserError
from benchmark.pipeline import layout
from benchmark.pipeline.settings import Settings

PHANTOM = "PHANTOM"
SEEN = {"seen": "seen", "chosen": "chosen on it", "reports": "reports seen", "unknown": "seen?"}
SEEN_IN_PART = {"seen": "seen in part", "chosen": "chosen in part", "reports": "reports in part", "unknown": "seen?"}
"""How tables mark what a released model knows of a dataset, and of the datasets together (baselines/releases.py)."""


class Results:
    """The tables of ``results/``, by file stem: ``results["auc"]``."""

    def __init__(self, folder: Path = layout.RESULTS, complete: bool = True) -> None:
        """Read tables when they are first asked for.

        Args:
            folder: where they lie.
            complete: False where each table holds some of its columns (reports/reference/).
        """
        self.folder = folder
        self._complete = complete
        self._read: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        """The table, empty where the file is missing or has no row; text columns hold "" for missing."""
        if name not in self._read:
            path = self.folder / f"{name}.csv"
            expected = columns(name) if self._complete and name in COLUMNS else []
            self._read[name] = reading.read_csv(path, expected) if path.exists() else pd.DataFrame()
        return self._read[name]

    def __contains__(self, name: str) -> bool:
        """Whether the table exists and has rows."""
        return not self[name].empty


@dataclass(frozen=True)
class Evidence:
    """Settings, results, runs, data cards and the text filter's quality."""

    settings: Settings
    results: Results
    runs: tuple[Run, ...]
    cards: dict[str, dict[str, Any]]
    quality: dict[str, Any]
    absent: dict[str, list[str]] = field(default_factory=dict)
    """Systems that were left out because released files are not there -> those files."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """The evaluation datasets that have a card, in the harness's order."""
        return tuple(name for name in layout.EVALUATION_DATASETS if name in self.cards)

    @property
    def systems(self) -> tuple[str, ...]:
        """The compared systems."""
        return tuple(self.settings.compare)

    @property
    def mark(self) -> str:
        """``PHANTOM`` where any image is rendered; "" where all data are the published releases."""
        phantom = [card["phantom"] for card in self.cards.values()]
        return PHANTOM if all(phantom) else f"PARTLY {PHANTOM}" if any(phantom) else ""

    @property
    def interval(self) -> str:
        """What the brackets hold, at the level that was measured: ``95 % interval``."""
        return f"{100 * self.settings.statistics.level:.6g} % interval"

    def label(self, system: str, dataset: str = "") -> str:
        """The name printed for a system; beside numbers of a dataset, with a mark of what the model knows of it."""
        known = self.settings.systems.get(system)
        return (known.label if known else system) + self.seen_mark(system, dataset)

    def release(self, system: str) -> Release | None:
        """What is known of a released system; None of any other."""
        known = self.settings.systems.get(system)
        return releases.read().get(known.release or "") if known else None

    def seen(self, system: str, dataset: str) -> str:
        """What a system knows of a dataset (baselines/releases.py), of ``overall`` the gravest of all; "" = nothing."""
        release = self.release(system)
        if release is None or not dataset:
            return ""
        of_each = {release.seen[each] for each in (self.datasets if dataset == OVERALL else [dataset])}
        return next((status for status in releases.SEEN if status in of_each), "")

    def seen_mark(self, system: str, dataset: str) -> str:
        """`` (seen)`` and the like; "" where a system knows nothing of a dataset."""
        words = SEEN_IN_PART if dataset == OVERALL else SEEN
        status = self.seen(system, dataset)
        return f" ({words[status]})" if status else ""

    def prompts(self, system: str) -> str:
        """Whose sentences asked a system for its findings: ``common`` or ``own``."""
        return str(next((run.card.get("prompts", "common") for run in self.runs_of(system)), "common"))

    def publishes_heatmaps(self, system: str) -> bool:
        """False where the model says nothing of places."""
        return bool(next((run.card.get("heatmaps", True) for run in self.runs_of(system)), True))

    def may_show(self, dataset: str) -> bool:
        """Whether images and report text of a dataset may appear: phantom, or ``share_examples``."""
        card = self.cards.get(dataset, {})
        return bool(card.get("phantom") or card.get("share_examples"))

    @property
    def shared(self) -> tuple[str, ...]:
        """Datasets of patients whose images and identifiers the user let appear (``share_examples``)."""
        return tuple(name for name, card in self.cards.items() if card.get("share_examples") and not card["phantom"])

    @property
    def trained(self) -> tuple[str, ...]:
        """The compared systems that were trained under the budget."""
        return tuple(name for name in self.systems if name not in self.released)

    @property
    def released(self) -> tuple[str, ...]:
        """The compared systems that come from a checkpoint and were evaluated only."""
        return tuple(name for name in self.systems if self.settings.systems[name].is_released)

    @property
    def scratch(self) -> tuple[str, ...]:
        """The systems that start from random weights."""
        return tuple(self.settings.scratch)

    @property
    def everyone(self) -> tuple[str, ...]:
        """The compared systems, from both starts."""
        return (*self.systems, *self.scratch)

    def start(self, system: str) -> str:
        """Where a system's image tower starts: ``pretrained`` or ``scratch``."""
        return self.settings.systems[system].start

    def runs_of(self, system: str) -> tuple[Run, ...]:
        """The seeds of one system."""
        return tuple(run for run in self.runs if run.system == system)


def load(settings: Settings) -> Evidence:
    """Read what the working directory holds.

    Raises:
        UserError: nothing was measured yet, or a file is damaged.
    """
    results = Results()
    if "auc" not in results:
        path = results.folder / "auc.csv"
        found = "holds no row" if path.exists() else "is missing"
        raise UserError(f"{path} {found}; run {again(path)}.")
    prepared = [name for name in layout.DATASETS if (layout.cohort(name) / "card.json").exists()]
    present = without_absent(settings)
    return Evidence(
        settings=present,
        results=results,
        runs=listed(present),
        cards={name: cohort.read_card(name) for name in prepared},
        quality=captions.quality(),
        absent=left_out(settings),
    )

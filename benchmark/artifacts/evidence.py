"""Everything that was measured, read once: what reports, MLflow runs and the summary are made from.

Missing optional files give empty tables, so a report says "not measured" where a stage has nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout
from benchmark.pipeline.settings import Settings

PHANTOM = "PHANTOM"


@dataclass(frozen=True)
class Run:
    """One trained system and seed."""

    system: str
    seed: int
    folder: Path
    scores: Path

    @cached_property
    def ledger(self) -> dict[str, Any]:
        """``ledger.json``; empty for a released checkpoint, which is evaluated only."""
        path = self.folder / "ledger.json"
        return files.read_json(path) if path.exists() else {}

    @cached_property
    def history(self) -> pd.DataFrame:
        """``history.parquet``; empty where nothing was trained."""
        path = self.folder / "history.parquet"
        return pd.read_parquet(path) if path.exists() else pd.DataFrame()


class Results:
    """The tables of ``results/``, by file stem: ``results["auc"]``."""

    def __init__(self, folder: Path = layout.RESULTS) -> None:
        self.folder = folder
        self._read: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        """The table, empty where the file is missing or has no row; text columns hold "" for missing."""
        if name not in self._read:
            path = self.folder / f"{name}.csv"
            self._read[name] = _read_csv(path) if path.exists() else pd.DataFrame()
        return self._read[name]

    def __contains__(self, name: str) -> bool:
        """Whether the table exists and has rows."""
        return not self[name].empty


def _read_csv(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype={"seed": str})
    except pd.errors.EmptyDataError:
        return pd.DataFrame()
    except ValueError as error:  # pandas' words for a file that is no table
        reason = " ".join(str(error).split())[:120]
        raise UserError(f"{path} cannot be read ({reason}); run `dvc repro measure` to make it again.") from None
    for name in table.columns:
        if table[name].dtype == object or pd.api.types.is_string_dtype(table[name]):
            table[name] = table[name].fillna("").astype(object)
    return table


@dataclass(frozen=True)
class Evidence:
    """Settings, results, runs, data cards and the text filter's quality."""

    settings: Settings
    results: Results
    runs: tuple[Run, ...]
    cards: dict[str, dict[str, Any]]
    quality: dict[str, Any]

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

    def label(self, system: str) -> str:
        """The name printed for a system."""
        known = self.settings.systems.get(system)
        return known.label if known else system

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

    def runs_of(self, system: str) -> tuple[Run, ...]:
        """The seeds of one system."""
        return tuple(run for run in self.runs if run.system == system)


def load(settings: Settings) -> Evidence:
    """Read what the working directory holds.

    Raises:
        UserError: nothing was measured yet.
    """
    if not (layout.RESULTS / "auc.csv").exists():
        raise UserError(f"{layout.RESULTS / 'auc.csv'} is missing; run `dvc repro measure` first.")
    listed = [(system, seed) for system in settings.compare for seed in settings.seeds]
    listed += [
        (system, seed) for system in settings.ablation if system not in settings.compare
        for seed in settings.ablation_seeds
    ]  # fmt: skip
    cards = {
        name: files.read_json(layout.cohort(name) / "card.json")
        for name in layout.DATASETS
        if (layout.cohort(name) / "card.json").exists()
    }
    quality = layout.CAPTIONS / "quality.json"
    return Evidence(
        settings=settings,
        results=Results(),
        runs=tuple(Run(s, seed, layout.run(s, seed), layout.scores(s, seed)) for s, seed in listed),
        cards=cards,
        quality=files.read_json(quality) if quality.exists() else {},
    )

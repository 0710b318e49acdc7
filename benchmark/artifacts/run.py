"""One system trained from one seed: what training and scoring left of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.artifacts import reading
from benchmark.artifacts.cohort import Cohort
from benchmark.artifacts.pairs import Pairs
from benchmark.artifacts.scores import aligned, check_cohort
from benchmark.artifacts.stages import again
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import say
from benchmark.pipeline import layout
from benchmark.pipeline.settings import GROUPS, Settings

ABSENT = "absent.json"
"""Stands in a run's folders instead of everything else where an optional released system lacks files: their paths."""


@dataclass(frozen=True)
class Run:
    """One system and seed; each file is read when it is first asked for.

    Every reader raises ``UserError`` where its file is missing or damaged.
    """

    system: str
    seed: int

    @property
    def folder(self) -> Path:
        """runs/<system>-<seed>/, what training left."""
        return layout.run(self.system, self.seed)

    @property
    def scores_folder(self) -> Path:
        """scores/<system>-<seed>/, what scoring left."""
        return layout.scores(self.system, self.seed)

    @cached_property
    def absent(self) -> list[str]:
        """The released files that were missing, so that there is nothing to compare; [] where the run is there."""
        path = self.folder / ABSENT
        return list(reading.read_json(path)) if path.exists() else []

    @cached_property
    def ledger(self) -> dict[str, Any]:
        """ledger.json."""
        ledger: dict[str, Any] = reading.read_json(self.folder / "ledger.json")
        return ledger

    @cached_property
    def history(self) -> pd.DataFrame:
        """history.parquet; no rows where nothing was trained (released weights)."""
        return reading.read_table(self.folder / "history.parquet")

    @cached_property
    def card(self) -> dict[str, Any]:
        """score.json: which cohorts were scored, with which prompts, weights and code.

        Raises:
            UserError: it is missing, damaged, or lacks a hash.
        """
        path = self.scores_folder / "score.json"
        card: dict[str, Any] = reading.read_json(path)
        if missing := {"cohort_hash", "prompts_hash", "weights_hash", "code_hash"} - set(card):
            raise UserError(f"{path}: '{min(missing)}' is missing; run {again(path)}.")
        return card

    def scores_path(self, dataset: str) -> Path:
        """Where the scores of a dataset lie."""
        return self.scores_folder / f"{dataset}.parquet"

    def scores(self, cohort: Cohort) -> pd.DataFrame:
        """This run's scores of a cohort in the cohort's row order."""
        path = self.scores_path(cohort.dataset)
        return aligned(reading.read_table(path), cohort.index["image_id"], path)

    @property
    def curve_path(self) -> Path:
        """Where the scores of the snapshots lie."""
        return self.scores_folder / "curve.parquet"

    def curve(self, cohort: Cohort) -> dict[float, pd.DataFrame]:
        """Scores of the snapshots, by the share of the budget spent; empty where the run has none."""
        if not self.curve_path.exists():
            return {}
        table = reading.read_table(self.curve_path)
        table = table[table["dataset"] == cohort.dataset]
        if table.empty:  # released weights, or `training.snapshots: []`
            return {}
        # The file holds the columns of all datasets: another dataset's are empty in these rows.
        table = table.dropna(axis=1, how="all")
        return {
            float(str(progress)): aligned(rows.reset_index(drop=True), cohort.index["image_id"], self.curve_path)
            for progress, rows in table.groupby("progress", sort=True)
        }

    def pointing(self, cohort: Cohort) -> pd.DataFrame:
        """Rows of pointing.parquet of the cohort's images."""
        return pointing(self.scores_folder / "pointing.parquet", cohort)

    def pairs(self) -> Pairs:
        """The validation pairs of similarity.npz."""
        return Pairs.read(self.scores_folder)

    def examples(self) -> list[tuple[dict[str, Any], NDArray[np.float32]]]:
        """What each example of the heatmaps shows (examples.json), and its heatmap (h, w); none where none was kept."""
        described, maps = self.scores_folder / "examples.json", self.scores_folder / "examples.npz"
        if not described.exists():
            return []
        return list(
            zip(reading.read_json(described), reading.read_arrays(maps, ("heatmaps",))["heatmaps"], strict=True)
        )


def pointing(path: Path, cohort: Cohort) -> pd.DataFrame:
    """Rows of a pointing.parquet, a run's or the supervised reference's, of the cohort's images."""
    rows = reading.read_table(path)
    rows = rows[(rows["dataset"] == cohort.dataset) & rows["image_id"].isin(cohort.index["image_id"])]
    return rows.reset_index(drop=True)


def listed(settings: Settings) -> tuple[Run, ...]:
    """The runs of a comparison and its ablation, in the order of params.yaml."""
    return tuple(Run(*pair) for pair in settings.runs())


def leave_out(folder: Path, absent: list[str]) -> None:
    """Leave a note of the missing files in place of what a run would hold."""
    with files.replacing(folder) as part:
        part.mkdir(parents=True)
        files.write_json(part / ABSENT, absent)
    say(f"{folder.name}: left out, {' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} not there.")


def left_out(settings: Settings) -> dict[str, list[str]]:
    """Systems that are listed and lack released files -> those files."""
    return {run.system: run.absent for run in listed(settings) if run.absent}


def without_absent(settings: Settings) -> Settings:
    """The settings with those systems alone that there is something of (the plan refuses to compare none)."""
    missing = left_out(settings)
    present = {name: [each for each in getattr(settings, name) if each not in missing] for name in GROUPS}
    return settings.model_copy(update=present)


def check_comparable(runs: list[Run], cohorts: list[Cohort]) -> None:
    """Refuse to put numbers from different prompts or cohorts into one table.

    Raises:
        UserError: a run scored another cohort than lies on disk, or two runs other prompts or cohorts than each other.
    """
    for run in runs:
        for cohort in cohorts:
            check_cohort(run.scores_folder / "score.json", run.card, cohort)
        for what, key in (("prompts", "prompts_hash"), ("cohorts", "cohort_hash")):
            if run.card[key] != runs[0].card[key]:
                raise UserError(
                    f"{runs[0].scores_folder} and {run.scores_folder} were scored with different {what}; "
                    "they cannot be compared: score both again."
                )

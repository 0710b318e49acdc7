"""What `measure` reads: the evaluation cohorts and every run's scores, checked and in one row order.

The scores of an image are found by its image_id and put into the cohort's row order; an image without a
score, a score without an image, or a value that is no number ends the stage with a sentence. (The published
evaluation skipped missing images but kept their labels, so that rows slid against each other.)
File formats: docs/files.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.artifacts.cohort import LABEL
from benchmark.artifacts.tables import read_table
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout
from benchmark.statistics.auc import Floats

FINDING = "finding:"


def aligned(table: pd.DataFrame, image_ids: pd.Series, path: Path) -> pd.DataFrame:
    """Rows of ``table`` in the order of ``image_ids``, one each.

    Raises:
        UserError: an image is doubled, unknown or missing; names the file and the image.
    """
    if "image_id" not in table:
        raise UserError(f"{path}: expected a column 'image_id', found {list(table.columns)[:5]}; score again.")
    if (doubled := table["image_id"].duplicated()).any():
        raise UserError(f"{path}, row {int(doubled.argmax())}: image '{table.image_id[doubled.argmax()]}' is doubled.")
    ids = pd.Index(table["image_id"])
    if len(unknown := ids.difference(image_ids)):
        raise UserError(f"{path}: image '{unknown[0]}' is not in the cohort ({len(unknown)} such); score again.")
    if len(missing := pd.Index(image_ids).difference(ids)):
        raise UserError(f"{path}: image '{missing[0]}' has no score ({len(missing)} such); score again.")
    return table.set_index("image_id").loc[image_ids].reset_index()


def numbers(table: pd.DataFrame, columns: list[str], path: Path) -> Floats:
    """Columns as (n, K) float64, all finite.

    Raises:
        UserError: a column is missing or holds a value that is no number; names file, row and column.
    """
    if missing := [column for column in columns if column not in table]:
        raise UserError(f"{path}: column '{missing[0]}' is missing; score again.")
    values = table[columns].to_numpy(np.float64, na_value=np.nan)
    if not np.isfinite(values).all():
        row, column = (int(k) for k in np.argwhere(~np.isfinite(values))[0])
        raise UserError(
            f"{path}, row {row}, column '{columns[column]}': expected a finite number, "
            f"found {values[row, column]}; score again."
        )
    return values


@dataclass(frozen=True)
class Cohort:
    """The images of one dataset that are scored, with their truth."""

    dataset: str
    index: pd.DataFrame
    fingerprint: str
    one_image_per_cluster: bool

    @classmethod
    def read(cls, dataset: str) -> Cohort:
        """Read a cohort; of the training dataset the validation split alone.

        Raises:
            UserError: a file or column is missing, or a label is not 0, 1 or empty.
        """
        folder = layout.cohort(dataset)
        index = read_table(folder / "index.parquet")
        card = files.read_json(folder / "card.json")
        if missing := {"image_id", "patient_id", "split", "normal"} - set(index):
            raise UserError(f"{folder / 'index.parquet'}: column '{min(missing)}' is missing; prepare it again.")
        if dataset == layout.TRAINING_DATASET:
            index = index[index["split"] == "validate"]
        index = index.reset_index(drop=True)
        if (blank := index["patient_id"].isna() | (index["patient_id"].astype(str) == "")).any():
            raise UserError(
                f"{folder / 'index.parquet'}, row {int(blank.argmax())}, column 'patient_id': expected the patient, "
                "found nothing; where a release names no patient the adapter repeats the image_id."
            )
        truth = [name for name in index if name == "normal" or str(name).startswith(LABEL)]
        if dataset != layout.TRAINING_DATASET:
            values = index[truth].to_numpy(np.float64, na_value=np.nan)
            if (wrong := ~(np.isnan(values) | (values == 0) | (values == 1))).any():
                row, column = (int(k) for k in np.argwhere(wrong)[0])
                raise UserError(
                    f"{folder / 'index.parquet'}, row {row}, column '{truth[column]}': expected 0, 1 or empty, "
                    f"found {values[row, column]:g}; prepare the dataset again."
                )
        return cls(dataset, index, card["fingerprint"], not index["patient_id"].duplicated().any())

    @property
    def findings(self) -> list[str]:
        """Names of the findings, in published order."""
        return [str(name).removeprefix(LABEL) for name in self.index if str(name).startswith(LABEL)]

    @cached_property
    def normal(self) -> Floats:
        """(n,) 1 normal, 0 abnormal, NaN unknown."""
        return self.index["normal"].to_numpy(np.float64, na_value=np.nan)

    def labels(self, findings: list[str]) -> Floats:
        """(n, K) 1 present, 0 absent, NaN unknown."""
        return self.index[[LABEL + finding for finding in findings]].to_numpy(np.float64, na_value=np.nan)

    def positives(self, finding: str) -> int:
        """Images that show the finding."""
        return int((self.index[LABEL + finding] == 1).sum())


@dataclass(frozen=True)
class Run:
    """Where one system's scores from one seed lie, and what they were made from."""

    system: str
    seed: int
    cohort_hash: dict[str, str] = field(hash=False)
    prompts_hash: str
    weights_hash: str
    code_hash: str
    """Of every source file that scoring reached."""

    @property
    def folder(self) -> Path:
        """scores/<system>-<seed>/."""
        return layout.scores(self.system, self.seed)

    @classmethod
    def read(cls, system: str, seed: int, cohorts: dict[str, Cohort]) -> Run:
        """Read score.json and check that the run scored the cohorts that lie on disk.

        Raises:
            UserError: a hash is missing, or the run scored another cohort.
        """
        path = layout.scores(system, seed) / "score.json"
        card = files.read_json(path)
        if missing := {"cohort_hash", "prompts_hash", "weights_hash", "code_hash"} - set(card):
            raise UserError(f"{path}: '{min(missing)}' is missing; score again.")
        for cohort in cohorts.values():
            check_cohort(path, card, cohort)
        return cls(system, seed, card["cohort_hash"], card["prompts_hash"], card["weights_hash"], card["code_hash"])

    def scores(self, cohort: Cohort) -> pd.DataFrame:
        """This run's scores of a cohort in the cohort's row order."""
        path = self.folder / f"{cohort.dataset}.parquet"
        return aligned(read_table(path), cohort.index["image_id"], path)

    def curve(self, cohort: Cohort) -> dict[float, pd.DataFrame]:
        """Scores of the snapshots, by the share of the budget spent; empty where the run kept none, or was released."""
        path = self.folder / "curve.parquet"
        if not path.exists():
            return {}
        table = read_table(path)
        table = table[table["dataset"] == cohort.dataset]
        if table.empty:
            return {}
        # The file holds the columns of all datasets: another dataset's are empty in these rows.
        table = table.dropna(axis=1, how="all")
        return {
            float(str(progress)): aligned(rows.reset_index(drop=True), cohort.index["image_id"], path)
            for progress, rows in table.groupby("progress", sort=True)
        }


def check_cohort(path: Path, card: dict[str, Any], cohort: Cohort) -> None:
    """Refuse scores of another cohort than the one that lies on disk.

    Args:
        path: score.json or probe.json.
        card: what it holds.
        cohort: the images that are about to be measured.

    Raises:
        UserError: names the file and both fingerprints.
    """
    found = card.get("cohort_hash", {}).get(cohort.dataset)
    if found != cohort.fingerprint:
        raise UserError(
            f"{path}: {cohort.dataset} was scored as cohort {str(found)[:12]}, but {layout.cohort(cohort.dataset)} "
            f"holds {cohort.fingerprint[:12]}; score again, these numbers cannot be compared."
        )


def check_comparable(runs: list[Run]) -> None:
    """Refuse to put numbers from different prompts or cohorts into one table.

    Raises:
        UserError: names the two runs and what differs.
    """
    for run in runs[1:]:
        for what, first, second in (
            ("prompts", runs[0].prompts_hash, run.prompts_hash),
            ("cohorts", runs[0].cohort_hash, run.cohort_hash),
        ):
            if first != second:
                raise UserError(
                    f"{runs[0].folder} and {run.folder} were scored with different {what}; "
                    "they cannot be compared: score both again."
                )

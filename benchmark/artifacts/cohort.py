"""A prepared dataset as the stages after `prepare` read it: index, card and images, checked against one another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.artifacts import reading
from benchmark.artifacts.stages import again
from benchmark.common.errors import UserError
from benchmark.pipeline import layout

LABEL = "label:"
"""Prefix of a finding's column in index.parquet."""
SPLITS = dict.fromkeys(layout.EVALUATION_DATASETS, "test") | {layout.TRAINING_DATASET: "validate"}
"""The split of each dataset that is scored and measured."""


@dataclass(frozen=True, eq=False)
class Cohort:
    """The images of one split of a dataset; ``index`` keeps the cache's row numbers as its labels."""

    dataset: str
    index: pd.DataFrame
    card: dict[str, Any]
    images: NDArray[np.uint8]
    """(all rows of the cache, S, S), memory-mapped."""

    @property
    def findings(self) -> list[str]:
        """The scored vocabulary without the normal class, in published order."""
        return list(self.card["findings"])

    @property
    def fingerprint(self) -> str:
        """Hash of the prepared files."""
        return str(self.card["fingerprint"])

    @property
    def rows(self) -> NDArray[np.int64]:
        """Rows of ``images`` that belong to the split, in the order of ``index``."""
        return self.index.index.to_numpy(np.int64)

    @property
    def image_ids(self) -> list[str]:
        """Identifiers in the order of ``index``."""
        return list(self.index["image_id"])

    @property
    def one_image_per_cluster(self) -> bool:
        """Whether no patient has two images."""
        return not self.index["patient_id"].duplicated().any()

    @cached_property
    def normal(self) -> NDArray[np.float64]:
        """(n,) 1 normal, 0 abnormal, NaN unknown."""
        return self.index["normal"].to_numpy(np.float64, na_value=np.nan)

    def labels(self, findings: list[str]) -> NDArray[np.float64]:
        """(n, K) 1 present, 0 absent, -1 uncertain (training labels alone), NaN not mentioned."""
        return self.index[[LABEL + finding for finding in findings]].to_numpy(np.float64, na_value=np.nan)

    def positives(self, finding: str) -> int:
        """Images that show the finding."""
        return int((self.index[LABEL + finding] == 1).sum())


def read(dataset: str, split: str | None = None) -> Cohort:
    """Read one split of ``data/cohort/<dataset>/``, or all of it.

    Raises:
        UserError: a file is missing or damaged, the files disagree, an image is listed twice, a study of the training
            dataset has two images, an image has no patient, a label is not what it may be, or the split is empty; the
            sentence names the file, the row and the stage.
    """
    path = index_path(dataset)
    card, index = read_card(dataset), reading.read_table(path)
    _check(dataset, path, index, [LABEL + name for name in card["findings"]])
    images = _open_images(dataset, len(index))
    chosen = index if split is None else index[index["split"] == split]
    if chosen.empty:
        raise UserError(f"{path} has no image of split '{split}'; found {set(index['split'])}.")
    return Cohort(dataset, chosen, card, images)


def read_card(dataset: str) -> dict[str, Any]:
    """card.json of a dataset.

    Raises:
        UserError: it is missing or damaged.
    """
    card: dict[str, Any] = reading.read_json(layout.cohort(dataset) / "card.json")
    return card


def index_path(dataset: str) -> Path:
    """Where the index of a dataset lies."""
    return layout.cohort(dataset) / "index.parquet"


def _check(dataset: str, path: Path, index: pd.DataFrame, labels: list[str]) -> None:
    """Refuse an index that no adapter wrote."""
    remedy = f"run {again(path)}"
    needed = ["image_id", "patient_id", "study_id", "split", "normal", *labels]
    if missing := [name for name in needed if name not in index]:
        raise UserError(f"{path} has no column '{missing[0]}'; {remedy}.")
    if (blank := index["patient_id"].isna() | (index["patient_id"].astype(str) == "")).any():
        raise UserError(
            f"{path}, row {int(blank.argmax())}, column 'patient_id': expected the patient, found nothing; where a "
            "release names no patient the adapter repeats the image_id."
        )
    for name in ("image", "study") if dataset == layout.TRAINING_DATASET else ("image",):
        if (doubled := (ids := index[f"{name}_id"]).duplicated()).any():
            raise UserError(f"{path} lists the {name} '{ids[doubled].iloc[0]}' twice, expected once; {remedy}.")
    if dataset == layout.TRAINING_DATASET:
        return
    truth = ["normal", *labels]
    values = index[truth].to_numpy(np.float64, na_value=np.nan)
    if (wrong := ~(np.isnan(values) | (values == 0) | (values == 1))).any():
        row, column = (int(k) for k in np.argwhere(wrong)[0])
        raise UserError(
            f"{path}, row {row}, column '{truth[column]}': expected 0, 1 or empty, "
            f"found {values[row, column]:g}; {remedy}."
        )


def _open_images(dataset: str, count: int) -> NDArray[np.uint8]:
    """images.npy, which must hold an image for each of the index's ``count`` rows."""
    path = layout.cohort(dataset) / "images.npy"
    images = reading.read_array(path)
    if images.dtype != np.uint8 or images.ndim != 3 or len(images) != count:
        raise UserError(
            f"{path} holds {images.dtype} {images.shape}, index.parquet has {count} rows; "
            f"expected uint8 ({count}, S, S): run {again(path)}."
        )
    return images

"""What the evaluation reads of a prepared dataset: index, card and cached images, checked against one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout

LABEL = "label:"
"""Prefix of a finding's column in index.parquet."""


@dataclass(frozen=True, eq=False)
class Cohort:
    """The evaluated images of one dataset; ``index`` keeps the cache's row numbers as its labels."""

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
    def rows(self) -> NDArray[np.int64]:
        """Rows of ``images`` that are evaluated, in the order of ``index``."""
        return self.index.index.to_numpy(np.int64)

    @property
    def image_ids(self) -> list[str]:
        """Identifiers in the order of ``index``."""
        return list(self.index["image_id"])

    def labels(self, finding: str) -> NDArray[np.float32]:
        """One finding's labels, or those of ``normal``: 1, 0, -1 where uncertain, NaN where not mentioned."""
        column = self.index["normal" if finding == "normal" else LABEL + finding]
        values: NDArray[np.float32] = column.to_numpy(np.float32, na_value=np.nan)
        return values


def read(dataset: str, split: str) -> Cohort:
    """Read one split of ``data/cohort/<dataset>/``.

    Raises:
        UserError: a file is missing, the cache and the index disagree, identifiers repeat, or the split is empty.
    """
    folder = layout.cohort(dataset)
    card = files.read_json(folder / "card.json")
    try:
        index = pd.read_parquet(folder / "index.parquet")
        images = np.load(folder / "images.npy", mmap_mode="r")
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing; run `dvc repro prepare@{dataset}`.") from None
    except (OSError, EOFError, ValueError) as error:  # Arrow's and NumPy's words for a spoilt file
        reason = " ".join(str(error).split())[:120]
        raise UserError(
            f"{folder}: index.parquet or images.npy cannot be read ({reason}); delete the folder and run "
            f"`dvc repro prepare@{dataset}`."
        ) from None
    if images.dtype != np.uint8 or images.ndim != 3 or len(images) != len(index):
        raise UserError(
            f"{folder / 'images.npy'} holds {images.dtype} {images.shape}, index.parquet has {len(index)} rows; "
            f"expected uint8 ({len(index)}, S, S): run `dvc repro prepare@{dataset}`."
        )
    if index["image_id"].duplicated().any():
        repeated = index["image_id"][index["image_id"].duplicated()].iloc[0]
        raise UserError(f"{folder / 'index.parquet'} lists '{repeated}' twice; expected one row an image.")
    if missing := [name for name in card["findings"] if LABEL + name not in index]:
        raise UserError(f"{folder / 'index.parquet'} has no column 'label:{missing[0]}', which card.json names.")
    chosen = index[index["split"] == split]
    if chosen.empty:
        raise UserError(f"{folder / 'index.parquet'} has no image of split '{split}'; found {set(index['split'])}.")
    return Cohort(dataset, chosen, card, images)

"""Images against sentences with a restored model: sentences are encoded once, images once, in batches.

The published script scores one image at a time and encodes every prompt anew for each; the numbers here are the
same (a test compares an image scored alone with the same image in a batch).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from baselines.base import Baseline, ImageFeatures, TextFeatures, restore
from benchmark.artifacts.stages import again
from benchmark.common.errors import UserError
from benchmark.compute import device as computing
from benchmark.compute.augment import to_unit
from benchmark.pipeline.settings import ScoringSettings

FeaturesOf = TypeVar("FeaturesOf", ImageFeatures, TextFeatures)


@dataclass(frozen=True)
class Scorer:
    """A restored model and how it is run."""

    model: Baseline
    batch_size: int = 128
    precision: str = "float32"

    @classmethod
    def restore(cls, weights: Path, scoring: ScoringSettings) -> Scorer:
        """Rebuild the model of ``weights`` on the configured device.

        Raises:
            UserError: the file is missing or is not one of this harness.
        """
        if not weights.exists():
            raise UserError(f"{weights} is missing; run {again(weights)} to train the system first.")
        try:
            model = restore(weights, computing.choose(scoring.device, "scoring.device"))
        except ValueError as error:
            raise UserError(str(error)) from None
        return cls(model, scoring.batch_size, scoring.precision)

    def _mode(self) -> AbstractContextManager[None]:
        device = self.model.device.type
        return torch.autocast(device, torch.bfloat16, enabled=self.precision == "bfloat16")

    @torch.inference_mode()
    def encode(self, sentences: Sequence[str]) -> TextFeatures:
        """Features of the sentences."""
        with self._mode():
            return self.model.encode_texts(self.model.tokenize(list(sentences)).to(self.model.device))

    @torch.inference_mode()
    def batches(self, images: NDArray[np.uint8], rows: NDArray[np.int64]) -> Iterator[tuple[slice, ImageFeatures]]:
        """Features of ``images[rows]``, batch by batch, with the places in ``rows`` they belong to.

        Args:
            images: uint8 (n, S, S), may be memory-mapped.
            rows: which images, in the order wanted.
        """
        for start in range(0, len(rows), self.batch_size):
            place = slice(start, min(start + self.batch_size, len(rows)))
            pixels = to_unit(torch.from_numpy(np.ascontiguousarray(images[rows[place]])).to(self.model.device))
            with self._mode():
                yield place, self.model.encode_images(pixels)

    @torch.inference_mode()
    def similarity(self, features: ImageFeatures, texts: TextFeatures) -> NDArray[np.float32]:
        """float32 (images, sentences)."""
        with self._mode():
            values: NDArray[np.float32] = self.model.similarity(features, texts).float().cpu().numpy()
        return values

    @torch.inference_mode()
    def across_images(self, scores: pd.DataFrame) -> pd.DataFrame:
        """float32 (images, columns): what the model makes of all images' scores together, by default nothing."""
        changed = self.model.across_images(torch.from_numpy(scores.to_numpy(copy=True)))
        return pd.DataFrame(changed.numpy(), columns=scores.columns)

    @torch.inference_mode()
    def heatmaps(self, features: ImageFeatures, texts: TextFeatures) -> NDArray[np.float32]:
        """float32 (images, sentences, h, w) over the cached square."""
        with self._mode():
            values: NDArray[np.float32] = self.model.heatmaps(features, texts).float().cpu().numpy()
        return values

    @torch.inference_mode()
    def cell_scores(self, features: ImageFeatures, texts: TextFeatures) -> NDArray[np.float32]:
        """float32 (images, sentences, h, w): what the model says of each cell alone."""
        with self._mode():
            values: NDArray[np.float32] = self.model.cell_scores(features, texts).float().cpu().numpy()
        return values


def chosen_rows(features: FeaturesOf, places: Sequence[int]) -> FeaturesOf:
    """The features of some images or texts, in the order of ``places``; of none where it is empty."""
    return features[torch.tensor(places, dtype=torch.int64, device=features.pooled.device)]


def require_finite(values: NDArray[np.floating], what: str, rows: Sequence[str], columns: Sequence[object]) -> None:
    """Refuse NaN and infinity before they become a rank.

    Args:
        values: (rows, columns).
        what: e.g. ``carzero-0 on vindr_cxr``.
        rows: names of the rows, e.g. image identifiers.
        columns: names of the columns, e.g. sentences.

    Raises:
        UserError: names the first offending row and column.
    """
    if np.isfinite(values).all():
        return
    row, column = np.argwhere(~np.isfinite(values))[0]
    raise UserError(
        f"{what}: image '{rows[row]}' and '{columns[column]}' give {values[row, column]}; "
        "the weights have diverged: train again with a lower learning rate or clip_norm."
    )

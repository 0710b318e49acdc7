"""One caption per study and epoch, the same whoever asks, whenever and in whatever order.

The choice is a hash of (seed, epoch, study), not a draw from a shared generator: it does not depend on batch order,
workers, ranks or a resumed run, and all systems of a comparison see the same captions in the same epoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.common.errors import UserError
from offclip.prompting import clauses, is_denial

Mode = Literal["raw", "filtered"]


class CaptionSampler:
    """Captions and pair labels of a list of studies.

    ``raw`` takes any sentence of the report; ``filtered`` takes any that the text filter keeps. In both, about
    ``prompted_share`` of the samples are one "There is (no) ..." clause, the rest one sentence as dictated; a study
    without clauses is sampled as dictated (and the reverse).

    Attributes:
        is_normal: bool [studies], the pair label; the same in both modes.
        has_caption: bool [studies]; False where the report holds no sentence, which cannot be sampled.
    """

    def __init__(
        self,
        sentences: pd.DataFrame,
        studies: pd.DataFrame,
        study_ids: Sequence[str],
        mode: Mode,
        prompted_share: float,
        seed: int,
    ) -> None:
        """Build the pools.

        Args:
            sentences: sentences.parquet of the stage ``captions``.
            studies: studies.parquet.
            study_ids: the studies that will be asked for, by position; an id may occur more than once.
            mode: ``raw`` or ``filtered``.
            prompted_share: share of samples in prompted form, 0 to 1.
            seed: training seed.
        """
        if mode not in ("raw", "filtered"):
            raise UserError(f"captions should be `raw` or `filtered`, found '{mode}'.")
        label = dict(zip(studies["study_id"], studies["normal"].astype(bool), strict=True))
        self.is_normal = np.array([label.get(study, False) for study in study_ids], dtype=bool)
        self.has_caption = np.array([study in label for study in study_ids], dtype=bool)
        self._prompted_share = prompted_share
        self._seed = seed
        self._key = np.array([_digest(study) for study in study_ids], dtype=np.uint64)
        pools = _pools(sentences, label, set(study_ids), mode)
        dictated, prompted = pools
        self._texts: list[str] = []
        # start and length of each study's pool in `_texts`: [studies, 2] for (dictated, prompted)
        self._start = np.zeros((len(study_ids), 2), dtype=np.int64)
        self._length = np.zeros((len(study_ids), 2), dtype=np.int64)
        placed: dict[tuple[str, int], int] = {}
        for row, study in enumerate(study_ids):
            for form, pool in enumerate((dictated.get(study, []), prompted.get(study, []))):
                if (study, form) not in placed:
                    placed[study, form] = len(self._texts)
                    self._texts.extend(pool)
                self._start[row, form] = placed[study, form]
                self._length[row, form] = len(pool)

    def __len__(self) -> int:
        return len(self._key)

    def __call__(self, indices: NDArray[np.integer] | Sequence[int], epoch: int) -> tuple[list[str], NDArray[np.bool_]]:
        """Captions of some studies in one epoch.

        Args:
            indices: positions in ``study_ids``, int [batch].
            epoch: which pass over the data.

        Returns:
            The captions (batch strings) and the pair labels (bool [batch], True = normal).

        Raises:
            ValueError: a study has no caption; select by ``has_caption`` first.
        """
        rows = np.asarray(indices, dtype=np.int64)
        if not self.has_caption[rows].all():
            raise ValueError("Expected studies with a report only; select them by `has_caption` before sampling.")
        stream = _mix(np.array([self._seed, epoch], dtype=np.int64).view(np.uint64))
        base = _mix(self._key[rows] ^ stream[0] ^ (stream[1] << np.uint64(1)))
        wants_prompted = _uniform(base) < self._prompted_share
        form = wants_prompted.astype(np.int64)
        form = np.where(self._length[rows, form] > 0, form, 1 - form)
        length = self._length[rows, form]
        choice = self._start[rows, form] + (_uniform(_mix(base)) * length).astype(np.int64)
        return [self._texts[place] for place in choice], self.is_normal[rows]


def _pools(
    sentences: pd.DataFrame, label: dict[str, bool], wanted: set[str], mode: Mode
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Study -> the dictated sentences, and study -> the prompted clauses, that a sample may be."""
    dictated: dict[str, list[str]] = {}
    prompted: dict[str, list[str]] = {}
    columns = (sentences[name] for name in ("study_id", "text", "prompted", "normal"))
    for study, text, prompt, is_normal in zip(*columns, strict=True):
        if study not in wanted:
            continue
        if mode == "filtered" and is_normal and not label[study]:
            continue  # the text filter: normal sentences leave abnormal reports
        if text:
            dictated.setdefault(study, []).append(text)
        for part in clauses(prompt):
            # A dictated sentence may say both ("cardiomegaly without effusion"): its clauses are filtered one by one.
            if mode == "raw" or not text or is_denial(part) == label[study]:
                prompted.setdefault(study, []).append(part)
    return dictated, prompted


def _digest(study: str) -> int:
    return int.from_bytes(hashlib.sha256(str(study).encode()).digest()[:8], "little")


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's output function (Steele, Lea and Flood 2014): uint64 -> well-mixed uint64, wrapping around."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _uniform(values: NDArray[np.uint64]) -> NDArray[np.float64]:
    """uint64 -> float64 in [0, 1)."""
    return (values >> np.uint64(11)).astype(np.float64) * 2.0**-53

"""Cached images and captions -> the batches of a run.

An item is a study and its one image (the published protocol; the adapter drew it): each epoch draws one of its captions
and shuffles the studies; both are functions of (seed, epoch), so a position in the run is (epoch, offset) and nothing
else. Each distinct caption is tokenised once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmark.artifacts import captions
from benchmark.artifacts.cohort import Cohort
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.compute import augment, determinism
from benchmark.compute.distributed import World
from benchmark.training.step import Batch

IN_MEMORY_BYTES = 2 << 30
"""Images up to this size are read into memory; larger caches are mapped, and the page cache serves them."""


class Captions(Protocol):
    """Captions of a list of studies (training/captions.py)."""

    has_caption: np.ndarray
    """bool [studies]."""

    def __call__(self, indices: np.ndarray, epoch: int) -> tuple[list[str], np.ndarray]:
        """Texts and pair labels (bool, True = normal) of some studies, by position, in one epoch."""


@dataclass(frozen=True)
class Studies:
    """The studies of a split, sorted by name."""

    ids: list[str]
    image_rows: np.ndarray
    """int64 [studies], rows of images.npy."""

    @classmethod
    def of(cls, index: pd.DataFrame, split: str) -> Studies:
        """Sort the studies of a split by name.

        Args:
            index: index.parquet of the training dataset, a row a study.
            split: its name.

        Raises:
            UserError: the split is empty.
        """
        rows = np.flatnonzero((index["split"] == split).to_numpy())
        if not len(rows):
            raise UserError(f"The training index holds no image in the split '{split}'.")
        ids = index["study_id"].to_numpy(str)[rows]
        order = np.argsort(ids, kind="stable")
        return cls(ids[order].tolist(), rows[order])


class TokenCache:
    """Tokenises each distinct text once and keeps its row."""

    def __init__(self, tokenize: Callable[[list[str]], Any]) -> None:
        self._tokenize = tokenize
        self._row: dict[str, int] = {}
        self._tokens: Any = None

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Row numbers int64 [N] of the texts, tokenising the unseen ones."""
        unseen = [text for text in dict.fromkeys(texts) if text not in self._row]
        if unseen:
            fresh = self._tokenize(unseen)
            self._tokens = fresh if self._tokens is None else type(fresh).cat([self._tokens, fresh])
            self._row.update({text: len(self._row) + i for i, text in enumerate(unseen)})
        return torch.tensor([self._row[text] for text in texts], dtype=torch.int64)

    def rows(self, numbers: Tensor) -> Any:
        """Tokens of those rows."""
        return self._tokens[numbers]


@dataclass(frozen=True)
class Epoch:
    """The pairs of one pass, in order."""

    image_rows: np.ndarray
    """int64 [N], rows of images.npy."""
    texts: Tensor
    """int64 [N], rows of the token cache."""
    is_normal: Tensor
    """bool [N]."""


@dataclass(frozen=True)
class Position:
    """Where a run is in its data."""

    epoch: int = 0
    offset: int = 0
    """Pairs of this epoch already used."""

    def advance(self, size: int, studies: int) -> tuple[Position, Position]:
        """Where a batch of ``size`` is read, and the position after it; an incomplete last batch is dropped."""
        start = self if self.offset + size <= studies else Position(self.epoch + 1, 0)
        return start, Position(start.epoch, start.offset + size)


class PairData:
    """The studies of one split."""

    def __init__(
        self,
        images: np.ndarray,
        studies: Studies,
        captions: Captions,
        tokenize: Callable[[list[str]], Any],
        seed: int,
    ) -> None:
        """Join images and captions.

        Args:
            images: uint8 [N, S, S].
            studies: whose images and captions these are.
            captions: of ``studies.ids``; studies without one are left out.
            tokenize: a baseline's.
            seed: of the shuffle.

        Raises:
            UserError: no study has a caption.
        """
        self._usable = np.flatnonzero(captions.has_caption)
        if not len(self._usable):
            raise UserError(
                f"None of the {len(studies.ids)} studies has a report with a sentence; nothing can be learnt."
            )
        self._images, self._studies, self._captions, self._seed = images, studies, captions, seed
        self._tokens = TokenCache(tokenize)
        self._epoch: tuple[int, Epoch] | None = None

    def __len__(self) -> int:
        return len(self._usable)

    def epoch(self, number: int) -> Epoch:
        """One pass over the studies."""
        if self._epoch is None or self._epoch[0] != number:
            order = np.random.default_rng((self._seed, determinism.SHUFFLE, number)).permutation(self._usable)
            texts, is_normal = self._captions(order, number)
            pairs = Epoch(self._studies.image_rows[order], self._tokens(texts), torch.from_numpy(is_normal))
            self._epoch = (number, pairs)
        return self._epoch[1]

    def batch(self, at: Position, size: int, world: World, device: torch.device, kind: str, step: int) -> Batch:
        """This process's share of the batch of ``size`` pairs at a position.

        Args:
            at: where it starts; the epoch holds ``size`` more pairs.
            size: pairs over all processes.
            world: the processes.
            device: where the tensors go.
            kind: augmentation.
            step: number of the step, the key of its augmentation.
        """
        epoch = self.epoch(at.epoch)
        own = world.own(size)
        mine = slice(at.offset + own.start, at.offset + own.stop)
        image_rows = torch.from_numpy(self._images[epoch.image_rows[mine]]).to(device, non_blocking=True)
        draws = augment.draw(size, determinism.generator(self._seed, determinism.AUGMENT, step))[:, own]
        return Batch(
            augment.augment(augment.to_unit(image_rows), kind, draws.to(device)),
            self._tokens.rows(epoch.texts[mine]).to(device),
            epoch.is_normal[at.offset : at.offset + size].to(device),
        )


def in_memory(images: np.ndarray) -> np.ndarray:
    """The images, read whole where ``IN_MEMORY_BYTES`` hold them."""
    return np.asarray(images) if images.nbytes <= IN_MEMORY_BYTES else images


def fingerprint(cohort: Cohort) -> str:
    """Hash of the data that training reads: the cohort's files and the captions."""
    said = (captions.SENTENCES, captions.STUDIES, captions.VOCABULARY)
    return files.sha256_json([cohort.fingerprint, *map(files.sha256_file, said)])

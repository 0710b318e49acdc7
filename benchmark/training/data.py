"""Cached images and captions -> the batches of a run.

An item is a study: each epoch draws one of its frontal images and one caption (the published protocol),
and shuffles the studies; all three are functions of (seed, epoch), so a position in the run is (epoch, offset)
and nothing else. Each distinct caption is tokenised once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.compute import augment, determinism
from benchmark.compute.distributed import World
from benchmark.training.step import Batch

FRONTAL = ("PA", "AP", "frontal")
IN_MEMORY_BYTES = 2 << 30
"""Images up to this size are read into memory; larger caches are mapped, and the page cache serves them."""


class Captions(Protocol):
    """Captions of a list of studies (benchmark.captions.CaptionSampler)."""

    has_caption: np.ndarray
    """bool [studies]."""

    def __call__(self, indices: np.ndarray, epoch: int) -> tuple[list[str], np.ndarray]:
        """Texts and pair labels (bool, True = normal) of some studies, by position, in one epoch."""


@dataclass(frozen=True)
class Studies:
    """The studies of a split, sorted by name, and the frontal images of each."""

    ids: list[str]
    image_rows: list[np.ndarray]
    """Rows of images.npy."""

    @classmethod
    def of(cls, index: pd.DataFrame, split: str) -> Studies:
        """Group an index by study.

        Raises:
            UserError: the split holds no frontal image.
        """
        frontal = np.flatnonzero(((index["split"] == split) & index["view"].isin(FRONTAL)).to_numpy())
        if not len(frontal):
            raise UserError(f"The training index holds no frontal image (view PA or AP) in the split '{split}'.")
        by_study = pd.Series(frontal).groupby(index["study_id"].to_numpy()[frontal], sort=True)
        return cls([str(study) for study, _ in by_study], [rows.to_numpy() for _, rows in by_study])


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
            seed: of the shuffle and of the choice of images.

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
            choice = np.random.default_rng((self._seed, determinism.IMAGE, number)).random(len(order))
            texts, is_normal = self._captions(order, number)
            image_rows = [self._studies.image_rows[study] for study in order]
            self._epoch = (
                number,
                Epoch(
                    np.array([rows[int(part * len(rows))] for rows, part in zip(image_rows, choice, strict=True)]),
                    self._tokens(texts),
                    torch.from_numpy(is_normal),
                ),
            )
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


def load_images(folder: Path) -> tuple[np.ndarray, pd.DataFrame]:
    """images.npy and index.parquet of a cohort, which describe each other row by row.

    Raises:
        UserError: a file is missing, or their lengths differ.
    """
    path = folder / "images.npy"
    try:
        images = np.load(path, mmap_mode="r")
        index = pd.read_parquet(folder / "index.parquet")
    except FileNotFoundError as error:
        raise UserError(f"{error.filename} is missing; run `dvc repro` to make it.") from None
    if len(images) != len(index):
        raise UserError(f"{path} holds {len(images)} images, its index {len(index)} rows; run `dvc repro` again.")
    return (np.asarray(images) if images.nbytes <= IN_MEMORY_BYTES else images), index


def fingerprint(folder: Path, captions: Path) -> str:
    """Hash of the data that training reads: the cohort's card and the captions."""
    card = files.read_json(folder / "card.json")["fingerprint"]
    return files.sha256_json([card, *(files.sha256_file(captions / name) for name in sorted(CAPTION_FILES))])


CAPTION_FILES = ("sentences.parquet", "studies.parquet", "vocabulary.json")

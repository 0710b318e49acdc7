"""Parts of a list of images that several machines decode at once, each into a folder of its own.

A shard is an unfinished array of some of the rows (cache.py). The run without a shard takes its rows over as it takes
over those of a run that was killed, file by file, so the result is that of one machine whatever shards there were:
one that is missing, cut short or of other settings costs time alone.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.cohort.decoding import takeover
from benchmark.cohort.decoding.takeover import Earlier
from benchmark.pipeline import layout

WRITTEN = re.compile(r"([1-9]\d{0,3})/([1-9]\d{0,3})")


@dataclass(frozen=True)
class Shard:
    """The ``number``-th (from 1) of ``count`` parts."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``2/4``.

        Raises:
            ValueError: it is no part of a whole.
        """
        found = WRITTEN.fullmatch(text)
        if not found or int(found[1]) > int(found[2]):
            raise ValueError(f"expected K/N with K from 1 to N, such as 2/4, found '{text}'")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, paths: Sequence[str]) -> list[str]:
        """Every ``count``-th path: large and small files are spread evenly."""
        return list(paths[self.number - 1 :: self.count])

    def folder(self, dataset: str) -> Path:
        """Where it is decoded into: ``data/images/.<dataset>.shard-2-of-4``."""
        target = layout.images(dataset)
        return target.parent / f".{target.name}.shard-{self.number}-of-{self.count}"


def folders(dataset: str) -> Iterator[Path]:
    """The folders of every shard that was begun, in order; also of one that takes over what it had."""
    target = layout.images(dataset)
    yield from sorted(target.parent.glob(f".{target.name}.shard-*-of-*"))


def read(dataset: str) -> list[Earlier]:
    """What the shards hold."""
    found = (takeover.read(folder, folder / "images.npy") for folder in folders(dataset))
    return [earlier for earlier in found if earlier is not None]


def forget(dataset: str) -> None:
    """Remove them: their rows are in the finished array."""
    for folder in folders(dataset):
        shutil.rmtree(folder, ignore_errors=True)

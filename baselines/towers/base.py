"""What a tower offers to the models that share it."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from baselines.base import ImageFeatures, TextBatch, TextFeatures


class ImageTower(nn.Module):
    """Images to features of width ``dim``."""

    dim: int
    cells_are_images: ClassVar[bool] = False
    """True where the features of a cell are those of an image made of this cell alone."""

    def require_size(self, size: int) -> None:
        """Raise a ValueError where a cache of ``size`` pixels holds less than the tower looks at; any will do here."""

    @abstractmethod
    def forward(self, pixels: Tensor) -> ImageFeatures:
        """[B, 1, S, S] float in [0, 1] to the whole and its cells."""


class TextTower(nn.Module):
    """Texts to features of width ``dim``."""

    dim: int
    vocabulary: list[str]
    """Its words or word pieces, in the order of their ids."""

    @abstractmethod
    def tokenize(self, texts: list[str]) -> TextBatch:
        """Texts to ids, on the CPU."""

    @abstractmethod
    def forward(self, tokens: TextBatch) -> TextFeatures:
        """[B, T] ids to the whole and its words."""

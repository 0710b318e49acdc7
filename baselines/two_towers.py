"""What every model with an image tower, a text tower and a shared width has in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from baselines.base import Baseline, ImageFeatures, TextBatch, TextFeatures
from baselines.options import one_width
from baselines.precision import unrounded, widened
from baselines.towers import build_towers


class TwoTowers(Baseline):
    """Towers and what projects their features into one space. Subclasses score pairs."""

    def __init__(
        self,
        encoders: Mapping[str, Mapping[str, Any]],
        vocabulary: list[str] | None,
        projection: int | None = None,
        hidden: bool = False,
    ) -> None:
        """Build.

        Args:
            encoders: the towers' options.
            vocabulary: words for text towers that need them.
            projection: width of the shared space; None = the towers' own, which must then be one.
            hidden: a ReLU layer inside each projection (ConVIRT) instead of one linear map (CLIP).

        Raises:
            ValueError: two widths and no projection.
        """
        super().__init__()
        self.image, self.text = build_towers(encoders, vocabulary)
        self.vocabulary = self.text.vocabulary
        one_width(self.image.dim, self.text.dim, projection)
        self.dim = projection or self.text.dim
        self.image_projection = _projection(self.image.dim, projection, hidden)
        self.text_projection = _projection(self.text.dim, projection, hidden)

    @property
    def answers_for_cells(self) -> bool:
        """See ``Baseline``; a projection serves the whole and its cells alike."""
        return self.image.cells_are_images

    def tokenize(self, texts: list[str]) -> TextBatch:
        """See ``Baseline``."""
        return self.text.tokenize(texts)

    def require_size(self, size: int) -> None:
        """See ``Baseline``: as the image tower says."""
        self.image.require_size(size)

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """The whole image and its cells in the shared space."""
        features: ImageFeatures = self.image(pixels)
        return ImageFeatures(
            self.image_projection(features.pooled), self.image_projection(features.grid), features.border
        )

    def encode_texts(self, tokens: TextBatch) -> TextFeatures:
        """The whole text and its words in the shared space; slots without a word stay zero."""
        features: TextFeatures = self.text(tokens)
        words = self.text_projection(features.words) * features.mask[..., None]
        return TextFeatures(self.text_projection(features.pooled), words, features.mask)

    @staticmethod
    def cosine(images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Cosines of all images' and all texts' pooled embeddings: [B, T]."""
        with unrounded(images.pooled.device):
            unit_images, sentences = (functional.normalize(widened(one.pooled), dim=-1) for one in (images, texts))
            return unit_images @ sentences.T


def _projection(before: int, after: int | None, hidden: bool) -> nn.Module:
    if after is None:
        return nn.Identity()
    if hidden:
        return nn.Sequential(nn.Linear(before, after), nn.ReLU(), nn.Linear(after, after))
    return nn.Linear(before, after, bias=False)

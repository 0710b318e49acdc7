"""GLoRIA as released (``chexpert_resnet50.ckpt``), to be evaluated, not trained (Huang et al., ICCV 2021).

A ResNet-50 at 299 pixels and Bio_ClinicalBERT; the score of a pair is the mean of the cosine of the wholes and of
five times the best cosine of a word with the region that it attends to. docs/quirks.md says what the release does in
an unusual way; each has an option here. ``baselines/gloria.py`` is the same idea, trainable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines import chexpert_prompts, released
from baselines.base import ImageFeatures, TextBatch, TextFeatures
from baselines.config import BertOptions
from baselines.options.gloria_released import Options
from baselines.precision import unrounded, widened
from baselines.towers.bert import BertTower, read_padded
from baselines.towers.resnet import CHANNELS, resnet50, stages

DIM, SLOTS = 768, 97
SCALED, CROP, ENLARGED = 256, 224, 299
CELLS = 28
"""Cells of a heatmap across the crop: eight pixels each, so that the margins of 16 pixels are two cells."""
ATTENTION_SHARPNESS, WORD_WEIGHT = 4.0, 5.0
IMAGES_AT_ONCE = 4
"""Images whose word-by-cell attention is held together while scoring: what stays in a CPU's cache is faster."""
NAMES = {
    "image.": "img_encoder.model.",
    "global_embedder.": "img_encoder.global_embedder.",
    "local_embedder.": "img_encoder.local_embedder.",
    "text.model.": "text_encoder.model.",
}
WORD_TABLE = "text_encoder.model.embeddings.word_embeddings.weight"
UNREAD = {"text_encoder.model.pooler.dense.weight": (DIM, DIM), "text_encoder.model.pooler.dense.bias": (DIM,)}


@dataclass(frozen=True)
class Prompts(TextBatch):
    """Tokens, and how long the prompts were."""

    characters: Tensor | None = None
    """[B] int64: characters of the raw prompt, "[" left out."""


@dataclass(frozen=True)
class Sentences(TextFeatures):
    """Words after the tower: slot 0 is [CLS], the last that stands is [SEP]."""

    slots: Tensor
    """[B] int64: slots behind [CLS] that take part in the local score."""


@dataclass(frozen=True)
class Words:
    """The words of several texts that are not zero, one after another; each text has one at least."""

    vectors: Tensor
    """[W, D]."""
    owner: Tensor
    """[W] int64: whose word it is."""
    counts: Tensor
    """[T] int64: how many words each text has."""
    empty: Tensor
    """[T] int64: further slots of each text that are zero vectors."""

    @classmethod
    def of(cls, texts: TextFeatures, chosen: Tensor, slots: Tensor) -> Words:
        """Those that ``chosen`` [T, L] marks, of ``slots`` [T] that take part."""
        counts = chosen.sum(1)
        return cls(widened(texts.words[chosen]), chosen.nonzero()[:, 0], counts, slots - counts)

    def by_text(self, values: Tensor, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """[B, W, ...] of words to [B, T, ...] of texts, ``combine`` taking in one word after another.

        The order is always the same, on every device, which indexed additions do not promise.
        """
        first = self.counts.cumsum(0) - self.counts
        result = values[:, first]
        for place in range(1, int(self.counts.max())):
            longer = (self.counts > place).nonzero()[:, 0]
            result[:, longer] = combine(result[:, longer], values[:, first[longer] + place])
        return result

    def attention(self, scores: Tensor) -> Tensor:
        """Softmax over a text's slots in each cell, sharpened and softmaxed over the cells.

        Args:
            scores: [B, W, S] of each word with each cell; an empty slot's score is 0.

        Returns:
            [B, W, S] of sum 1 over S.
        """
        empty = self.empty[:, None]
        # The largest score of a text is taken away, so that no exponential overflows.
        top = self.by_text(scores, torch.maximum)
        top = torch.where(empty > 0, top.clamp(min=0), top)
        raised = (scores - top[:, self.owner]).exp()
        total = self.by_text(raised, torch.add) + empty * (-top.clamp(min=0)).exp()
        return (ATTENTION_SHARPNESS * raised / total[:, self.owner]).softmax(2)


class GLoRIAReleased(released.Released):
    """The released towers and the published score."""

    label: ClassVar[str] = "GLoRIA (released)"
    input_size: ClassVar[int] = SCALED
    own_pooling = "max"

    def __init__(self, options: Options, vocabulary: list[str]) -> None:
        super().__init__()
        self.options, self.prompts = options, options.prompts
        self.own_prompts = chexpert_prompts.drawn(5, seed=6)
        self.image = resnet50()
        self.global_embedder = nn.Linear(CHANNELS["layer4"], DIM)
        self.local_embedder = nn.Conv2d(CHANNELS["layer3"], DIM, 1, bias=False)
        self.text = BertTower(BertOptions(dim=DIM, max_tokens=SLOTS), vocabulary)
        self.vocabulary = self.text.vocabulary

    def train(self, mode: bool = True) -> GLoRIAReleased:
        """Evaluation mode; with ``batch_statistics`` BatchNorm looks at its batch and keeps its own statistics."""
        super().train(mode)
        for module in self.image.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.training = self.options.batch_statistics
                module.track_running_stats = not self.options.batch_statistics
        return self

    def tokenize(self, texts: list[str]) -> Prompts:
        """Word pieces of the cleaned texts in 97 slots."""
        batch = self.text.tokenize(texts)
        characters = torch.tensor([len(text) - text.count("[") for text in texts])
        return Prompts(batch.ids, batch.mask, batch.words, characters)

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """The whole image and its 19 x 19 cells; a larger cache is first scaled to 256 pixels."""
        self.require_size(pixels.shape[-1])
        pixels = released.cropped(released.resized(pixels, SCALED, SCALED, "area"), CROP)
        pixels = functional.interpolate(pixels, (ENLARGED, ENLARGED), mode="bilinear", align_corners=True)
        third, last = stages(self.image, released.normalised(pixels, 0.5, 0.5))
        return ImageFeatures(
            self.global_embedder(last.mean((2, 3))), self.local_embedder(third).permute(0, 2, 3, 1).contiguous()
        )

    def encode_texts(self, tokens: TextBatch) -> Sentences:
        """The sentence, its words, and how many slots are compared with the cells."""
        features: TextFeatures = self.text(tokens)
        if self.options.local_words == "words":
            slots = features.mask.sum(1) - 2
        else:
            assert isinstance(tokens, Prompts)
            assert tokens.characters is not None
            slots = tokens.characters
        return Sentences(features.pooled, features.words, features.mask, slots.clamp(1, SLOTS - 1))

    def local_similarity(self, images: ImageFeatures, texts: Sentences) -> Tensor:
        """[B_images, B_texts]: five times the largest cosine of a slot with what it attends to."""
        with unrounded(images.pooled.device):
            place = torch.arange(texts.words.shape[1], device=texts.words.device)
            chosen = (place >= 1) & (place <= texts.slots[:, None]) & texts.mask
            words = Words.of(texts, chosen, texts.slots)
            return torch.cat([_best(words, widened(part)) for part in images.grid.flatten(1, 2).split(IMAGES_AT_ONCE)])

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[Tensor]:
        """The local and the global matrix; their mean is the published score."""
        assert isinstance(texts, Sentences)
        with unrounded(images.pooled.device):
            wholes = (functional.normalize(widened(one.pooled), dim=-1, eps=1e-8) for one in (images, texts))
            image, sentence = wholes
            return [self.local_similarity(images, texts), image @ sentence.T]

    def across_images(self, scores: Tensor) -> Tensor:
        """With ``standardise``: each column of [N, C] minus its mean, over its population standard deviation."""
        if not self.options.standardise or len(scores) < 2:
            return scores
        return (scores - scores.mean(0)) / scores.std(0, correction=0)

    def attention_maps(self, images: ImageFeatures, texts: TextFeatures) -> tuple[Tensor, Words]:
        """What the release draws: each word's attention to the cells, [CLS] among the words and [SEP] not.

        Returns:
            [B, W, 19, 19] of all words of all texts one after another, and the words.
        """
        place = torch.arange(texts.words.shape[1], device=texts.words.device)
        spoken = texts.mask.sum(1) - 1
        with unrounded(images.pooled.device):
            words = Words.of(texts, place < spoken[:, None], spoken)
            scores = words.vectors @ widened(images.grid).flatten(1, 2).mT
            return words.attention(scores).unflatten(2, images.grid.shape[1:3]), words

    def heatmaps(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Mean of the released attention maps over a text's words, as 32 x 32 cells of the whole image.

        The crop's margins are zero. The empty text is [CLS] alone.
        """
        maps, words = self.attention_maps(images, texts)
        maps = words.by_text(maps, torch.add) / words.counts[:, None, None]
        maps = functional.interpolate(maps, (CELLS, CELLS), mode="bilinear")
        return functional.pad(maps, [CELLS * (SCALED - CROP) // CROP // 2] * 4)


def _best(words: Words, cells: Tensor) -> Tensor:
    """[B, S, D] cells to [B, T]: five times the largest cosine of a text's slots with their contexts.

    With p the attention, C the cells and w a word, the context is p C; w . (p C) = p . (C w) and |p C|^2 = p C C^T p,
    so that no context is ever made. An empty slot has the cosine 0.
    """
    scores = words.vectors @ cells.mT  # (B, W, S)
    attention = words.attention(scores)
    with_word = (attention * scores).sum(2)
    length = ((attention @ (cells @ cells.mT)) * attention).sum(2).clamp(min=0).sqrt()
    cosine = with_word / (length * words.vectors.norm(dim=1)).clamp(min=1e-8)
    best = words.by_text(cosine, torch.maximum)
    return WORD_WEIGHT * torch.where(words.empty > 0, best.clamp(min=0), best)


def build(
    encoders: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any], vocabulary: list[str] | None
) -> GLoRIAReleased:
    """``options``: those of ``Options``; ``encoders`` belong to other models.

    Raises:
        ValueError: no checkpoint, or its tensors are not the released ones.
    """
    own = released.released_options(Options, options, GLoRIAReleased.label)
    if own.checkpoint == released.IN_RECIPE:
        return GLoRIAReleased(own, vocabulary or [])
    weights = _without_prefix(released.read_weights(own.checkpoint), own.checkpoint)
    model = GLoRIAReleased(own, read_padded(own.tokenizer, weights.get(WORD_TABLE), own.checkpoint))
    released.take_weights(model, weights, NAMES, UNREAD, own.checkpoint)
    model.recipe = released.saved_recipe("gloria_released", asdict(own), model.vocabulary)
    return model


def _without_prefix(weights: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """What follows the last ``gloria.`` of each name, which is the wrapper's.

    Raises:
        ValueError: two tensors would get one name.
    """
    bare = {name.rpartition("gloria.")[2]: tensor for name, tensor in weights.items()}
    if len(bare) < len(weights):
        raise ValueError(f"{source} is not the released file: it holds some of GLoRIA's tensors twice.")
    return bare

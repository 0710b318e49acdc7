"""BioViL-T and BioViL as released, to be evaluated, not trained (Bannur et al., CVPR 2023; Boecking et al., ECCV 2022).

A ResNet-50 and CXR-BERT, both projected to 128 dimensions; the score of a pair is the cosine of the mean of the image's
cells and the text, the map that of each cell, smoothed. BioViL-T sees single images here: its transformer over an
earlier image of the same patient is replaced by a learnt vector, as published where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines import released
from baselines.base import ImageFeatures, TextBatch, TextFeatures
from baselines.options.biovil_t import Options
from baselines.precision import unrounded, widened
from baselines.towers import cxr_bert
from baselines.towers.bert import read_padded
from baselines.towers.cxr_bert import DIM, TOKENS, CXRBert
from baselines.towers.resnet import CHANNELS, resnet50, stages
from offclip.names import one_of

PATCH = 256
SCALED = 512
"""Pixels of the shorter side before the crop."""
CROPS = {"biovil_t": 448, "biovil": 480}
CELL = 8
"""Pixels of a heatmap's cells at that scale; the margins that the crops leave are whole cells."""
SMOOTHING = 1.5
"""Standard deviation of the gaussian over the similarity map, cells."""
AND, BUT = "\x1e", "\x1d"
"""Stand within one text between sentences that are averaged, and before those that deny."""
AFFIRMING = (
    "Findings consistent with {}", "Findings suggesting {}", "This opacity can represent {}",
    "Findings are most compatible with {}",
)  # fmt: skip
DENYING = ("There is no {}", "No evidence of {}", "No evidence of acute {}", "No signs of {}")
"""Published for pneumonia, with its name in them."""
ONLY_T = ("encoder.backbone_to_vit.", "encoder.missing_previous_emb", "encoder.vit_pooler.")
"""Tensors that only BioViL-T's file holds."""
NAMES = {
    "trunk.": "encoder.encoder.",
    "reduce.": "encoder.backbone_to_vit.",
    "no_previous": "encoder.missing_previous_emb",
    "projector.": "projector.model.",
}
BLOCK: dict[str, tuple[int, ...]] = {
    **{f"attn.{part}.weight": (PATCH, PATCH) for part in ("proj", "proj_q", "proj_k", "proj_v")},
    **{f"mlp.{part}.weight": (PATCH, PATCH) for part in ("fc1", "fc2")},
    **{f"{part}.bias": (PATCH,) for part in ("attn.proj", "mlp.fc1", "mlp.fc2", "norm1", "norm2")},
    **{f"{part}.weight": (PATCH,) for part in ("norm1", "norm2")},
}
"""A block of the transformer over two images."""
CLASSIFIER: dict[str, tuple[int, ...]] = {"encoder.encoder.fc.weight": (1000, 2048), "encoder.encoder.fc.bias": (1000,)}
UNREAD = {
    "biovil": CLASSIFIER,
    "biovil_t": CLASSIFIER
    | {f"encoder.vit_pooler.blocks.{block}.{name}": shape for block in range(3) for name, shape in BLOCK.items()}
    | {f"encoder.vit_pooler.norm_post.{part}": (PATCH,) for part in ("weight", "bias")}
    | {"encoder.vit_pooler.type_embed": (2, 1, PATCH)},
}


@dataclass(frozen=True)
class Ensembles(TextBatch):
    """Tokens of texts of one or more sentences each: ``ids`` and ``mask`` are [B, K, T]."""

    side: Tensor | None = None
    """[B, K] int64: 1 for a sentence that affirms, -1 for one that denies, 0 where none stands."""


class Vision(nn.Module):
    """[B, 3, S, S] to projected cells [B, S / 32, S / 32, 128]."""

    def __init__(self, vision: str) -> None:
        super().__init__()
        self.trunk: Any = resnet50()
        channels = CHANNELS["layer4"]
        self.reduce: nn.Module | None = None
        if vision == "biovil_t":
            self.reduce, channels = nn.Conv2d(channels, PATCH, 1, bias=False), 2 * PATCH
            self.no_previous = nn.Parameter(torch.zeros(1, PATCH, 1, 1))
        self.projector = nn.Sequential(
            nn.Conv2d(channels, DIM, 1, bias=False), nn.BatchNorm2d(DIM), nn.ReLU(), nn.Conv2d(DIM, DIM, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Cells, not normalised."""
        x = stages(self.trunk, x)[1]
        if self.reduce is not None:
            x = self.reduce(x)
            x = torch.cat([x, self.no_previous.to(x.dtype).expand_as(x)], dim=1)
        return self.projector(x).permute(0, 2, 3, 1)


class BioViLT(released.Released):
    """The released towers and the published score."""

    label: ClassVar[str] = "BioViL-T"
    input_size: ClassVar[int] = SCALED

    def __init__(self, options: Options, vocabulary: list[str]) -> None:
        super().__init__()
        one_of("`model_options.vision`", options.vision or "", tuple(CROPS))
        self.options, self.prompts = options, options.prompts
        self.crop = options.crop or CROPS[options.vision or ""]
        self.vision = Vision(options.vision or "")
        self.language = CXRBert(vocabulary)
        self.vocabulary = self.language.bert.vocabulary

    def sentences(self, finding: str, common: Sequence[str]) -> tuple[str, ...]:
        """Under ``prompts: own`` one text of all published sentences, since their embeddings are averaged."""
        if self.prompts != "own":
            return tuple(common)
        name = finding.lower()
        text = AND.join(sentence.format(name) for sentence in AFFIRMING)
        if self.options.contrast:
            text += BUT + AND.join(sentence.format(name) for sentence in DENYING)
        return (text,)

    def tokenize(self, texts: list[str]) -> Ensembles:
        """Word pieces without the texts' final marks, cut at 512 (published: refused) and padded to the longest."""
        sets = [[part.split(AND) for part in text.split(BUT)] for text in texts]
        spoken = [sentence.rstrip("!?.") for text in sets for part in text for sentence in part]
        encoded = self.language.bert.tokenizer(spoken, padding=True, truncation=True, max_length=TOKENS)
        sides = [[1 - 2 * place for place, part in enumerate(text[:2]) for _ in part] for text in sets]
        most = max(map(len, sides), default=1)
        side = torch.tensor([row + [0] * (most - len(row)) for row in sides]).reshape(len(texts), most)
        ids, mask = torch.tensor(encoded["input_ids"]), torch.tensor(encoded["attention_mask"]).bool()
        slots = torch.zeros(*side.shape, ids.shape[1], dtype=torch.int64)
        return Ensembles(
            slots.masked_scatter(side[..., None] != 0, ids), slots.bool().masked_scatter(side[..., None] != 0, mask),
            side=side,
        )  # fmt: skip

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """The whole image and its cells, both of length 1."""
        self.require_size(min(pixels.shape[-2:]))
        cells = self.vision(self.preprocessed(pixels).expand(-1, 3, -1, -1))
        with unrounded(cells.device):
            cells = widened(cells)
            return ImageFeatures(functional.normalize(cells.mean((1, 2)), dim=-1), functional.normalize(cells, dim=-1))

    def preprocessed(self, pixels: Tensor) -> Tensor:
        """[B, 1, H, W] stretched to all grey values, shorter side 512, central square of the crop's size."""
        shorter = min(pixels.shape[-2:])
        height, width = (int(SCALED * side / shorter) for side in pixels.shape[-2:])
        return released.cropped(released.resized(stretched(pixels), height, width, "bilinear"), self.crop)

    def encode_texts(self, tokens: TextBatch) -> TextFeatures:
        """``pooled`` is what scores, ``words`` the affirming sentences alone, which a heatmap shows."""
        assert isinstance(tokens, Ensembles)
        assert tokens.side is not None
        stands = tokens.side != 0
        projected = self.language(tokens.ids[stands], tokens.mask[stands])  # (N, 128)
        with unrounded(projected.device):
            owner = stands.nonzero()[:, 0]
            texts = torch.arange(len(tokens), device=owner.device)[:, None]
            affirmed, denied = (
                _mean(widened(projected), (owner == texts) & (tokens.side[stands] == side)) for side in (1, -1)
            )
        return TextFeatures(affirmed - denied, affirmed[:, None], torch.ones_like(stands[:, :1]))

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[Tensor]:
        """Cosine; with ``contrast`` the difference of two."""
        with unrounded(images.pooled.device):
            return [widened(images.pooled) @ widened(texts.pooled).T]

    def similarity_maps(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """[B_images, B_texts, h, w] over the crop: the cosine of each cell, smoothed."""
        with unrounded(images.grid.device):
            maps = torch.einsum("bhwd,td->bthw", widened(images.grid), widened(texts.words[:, 0]))
            down, across = (_gaussian(side).to(maps) for side in maps.shape[2:])
            return down @ maps @ across.T

    def heatmaps(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """The published map in cells of 8 pixels of 512; the margins, which are not looked at, get its least value."""
        maps = self.similarity_maps(images, texts)
        inner, margin = self.crop // CELL, (SCALED - self.crop) // 2 // CELL
        maps = functional.interpolate(maps, (inner, inner), mode="bilinear")
        square = maps.amin((2, 3), keepdim=True).repeat(1, 1, SCALED // CELL, SCALED // CELL)
        square[:, :, margin : margin + inner, margin : margin + inner] = maps
        return square


def stretched(pixels: Tensor) -> Tensor:
    """[B, 1, H, W] to all of 0 ... 255, truncated to whole levels (in [0, 1] again); a constant image becomes black."""
    levels = pixels.double().mul(255).round()
    levels = levels - levels.amin((1, 2, 3), keepdim=True)
    largest = levels.amax((1, 2, 3), keepdim=True)
    return ((levels / largest.clamp(min=1) * 255).floor() / 255).to(pixels.dtype)


def _mean(vectors: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the ``chosen`` [B, N] of [N, D], of length 1; zero where none is chosen."""
    # A product with a 0/1 matrix rather than an indexed addition: deterministic on every device.
    total = chosen.to(vectors.dtype) @ vectors
    return functional.normalize(total / chosen.sum(1, keepdim=True).clamp(min=1), dim=-1)


@lru_cache(maxsize=8)
def _gaussian(side: int) -> Tensor:
    """[side, side] float32: what each cell gives to each smoothed one along one axis; borders are mirrored."""
    import numpy as np
    from scipy.ndimage import gaussian_filter1d

    return torch.from_numpy(gaussian_filter1d(np.eye(side), SMOOTHING, axis=0)).float()


def build(
    encoders: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any], vocabulary: list[str] | None
) -> BioViLT:
    """``options``: those of ``Options``; ``encoders`` belong to other models.

    Raises:
        ValueError: a file is missing, or its tensors are not the released ones.
    """
    own = released.released_options(Options, options, BioViLT.label)
    if own.contrast and own.prompts != "own":
        raise ValueError("`model_options.contrast` takes away the model's own denying sentences; set `prompts: own`.")
    if own.crop is not None and own.crop not in (*CROPS.values(), SCALED):
        raise ValueError(f"`model_options.crop` must be 448, 480 or {SCALED}, found {own.crop}.")
    if own.checkpoint == released.IN_RECIPE:
        return BioViLT(own, vocabulary or [])
    weights = released.read_weights(own.checkpoint)
    is_t = any(name.startswith(ONLY_T) for name in weights)
    own = replace(own, vision=own.vision or ("biovil_t" if is_t else "biovil"))
    text_file = cxr_bert.weights_file(own.text_model)
    text_weights = released.read_weights(str(text_file))
    table = text_weights.get(cxr_bert.WORD_TABLE)
    model = BioViLT(own, read_padded(own.tokenizer or own.text_model, table, str(text_file)))
    released.take_weights(model.vision, weights, NAMES, UNREAD[own.vision or ""], own.checkpoint)
    unread = cxr_bert.unread(text_weights, is_tied=text_file.suffix == ".safetensors")
    released.take_weights(model.language, text_weights, cxr_bert.NAMES, unread, str(text_file))
    model.recipe = released.saved_recipe("biovil_t", asdict(own), model.vocabulary)
    return model

"""RadZero as released, to be evaluated, not trained (Park et al., NeurIPS 2025).

DINOv2 ViT-B/14 with two more layers, and MPNet; a text's cosine with each of an image's tokens, sharpened, is both the
map and the attention whose sum of tokens is compared with the text again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines import released, torchvision_cure
from baselines.base import ImageFeatures, TextBatch, TextFeatures
from baselines.options.radzero import Options
from baselines.precision import unrounded, widened
from baselines.towers.bert import read_padded

DIM, SIZE, PATCH, ALIGNING = 768, 518, 14, 2
CELLS = SIZE // PATCH
TOKENS = 512
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""BLIP's, where the snapshot says nothing else."""
PROCESSOR = "preprocessor_config.json"
PAIRS_AT_ONCE = 16_384
"""Pairs whose attention is held together while scoring (86 MiB)."""
NAMES = {
    "vision.": "vision_model.",
    "align.": "align_transformer.transformer_layers.layer.",
    "text.": "text_model.",
    "norm.": "loss_fns.RadZeroLoss.layer_norm.",
    "temperature": "loss_fns.RadZeroLoss.loss_temperature",
}
DINO_PARTS = {
    **{
        f".attention.{own}_proj.": f".attention.attention.{name}."
        for own, name in zip("qkv", ("query", "key", "value"), strict=True)
    },
    ".attention.o_proj.": ".attention.output.dense.",
}
"""Names of transformers 5 and those of the release, which are transformers 4's."""
POSITIONS = "vision_model.embeddings.position_embeddings"
WORD_TABLE = "text_model.embeddings.word_embeddings.weight"
UNREAD = {"text_model.pooler.dense.weight": (DIM, DIM), "text_model.pooler.dense.bias": (DIM,)}


class RadZero(released.Released):
    """The released towers and the published score."""

    label: ClassVar[str] = "RadZero"
    input_size: ClassVar[int] = SIZE

    def __init__(self, options: Options, vocabulary: list[str]) -> None:
        super().__init__()
        torchvision_cure.apply()
        from transformers import Dinov2Config, Dinov2Model, MPNetConfig, MPNetModel, MPNetTokenizer
        from transformers.models.dinov2.modeling_dinov2 import Dinov2Layer

        self.options, self.prompts, self.vocabulary = options, options.prompts, vocabulary
        self.vision: Any = Dinov2Model(Dinov2Config(image_size=SIZE, patch_size=PATCH))
        self.align = nn.ModuleList(Dinov2Layer(self.vision.config) for _ in range(ALIGNING))
        config = MPNetConfig(vocab_size=len(vocabulary), max_position_embeddings=TOKENS + 2, layer_norm_eps=1e-5)
        self.text: Any = MPNetModel(config, add_pooling_layer=False)
        self.norm = nn.LayerNorm(DIM)
        self.temperature = nn.Parameter(torch.full((1,), math.log(0.07)))
        places = {piece: place for place, piece in enumerate(vocabulary)}
        self.tokenizer = MPNetTokenizer(vocab=places, unk_token="[UNK]" if "[UNK]" in places else "<unk>")

    def tokenize(self, texts: list[str]) -> TextBatch:
        """Word pieces, cut at 512 and padded with 1, as MPNet is, to the longest of ``texts``."""
        encoded = self.tokenizer(texts, padding=True, truncation=True, max_length=TOKENS)
        return TextBatch(torch.tensor(encoded["input_ids"]), torch.tensor(encoded["attention_mask"]).bool())

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """The class token and the 37 x 37 patch tokens, each of length 1."""
        self.require_size(pixels.shape[-1])
        pixels = released.resized(stretched(pixels) if self.options.stretch else pixels, SIZE, SIZE, "bicubic")
        normalised = released.normalised(pixels, self.options.mean or MEAN, self.options.std or STD)
        tokens = self.vision(normalised).last_hidden_state  # (B, 1370, D)
        for layer in self.align:
            tokens = layer(tokens)
        tokens = self._unit(tokens)
        return ImageFeatures(tokens[:, 0], tokens[:, 1:].unflatten(1, (CELLS, CELLS)))

    def encode_texts(self, tokens: TextBatch) -> TextFeatures:
        """The mean of the words, of length 1; it stands for them too, which the model does not use."""
        hidden = self.text(tokens.ids, tokens.mask.long()).last_hidden_state
        mean = (hidden * tokens.mask[..., None]).sum(1) / tokens.mask.sum(1, keepdim=True)
        pooled = self._unit(mean)
        return TextFeatures(pooled, pooled[:, None], torch.ones_like(tokens.mask[:, :1]))

    def _unit(self, x: Tensor) -> Tensor:
        with unrounded(x.device):
            return functional.normalize(self.norm(widened(x)), dim=-1)

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[Tensor]:
        """The published score: cosine of the text with the sum of tokens that it attends to, over the temperature."""
        with unrounded(images.pooled.device):
            tokens = torch.cat([images.pooled[:, None], images.grid.flatten(1, 2)], dim=1)
            parts = tokens.split(max(1, PAIRS_AT_ONCE // len(texts)))
            return [torch.cat([self._logits(part, texts.pooled) for part in parts])]

    def _logits(self, tokens: Tensor, texts: Tensor) -> Tensor:
        cosine = texts @ tokens.mT  # (B, B_texts, 1370)
        attended = (cosine / self.temperature.exp()).softmax(2) @ tokens
        return (functional.normalize(attended, dim=-1) * texts).sum(-1) / self.temperature.exp()

    def heatmaps(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """The published map: each patch's cosine with the text over the temperature."""
        with unrounded(images.grid.device):
            return torch.einsum("bhwd,td->bthw", images.grid, texts.pooled) / self.temperature.exp()


def stretched(pixels: Tensor) -> Tensor:
    """[B, 1, H, W] to all of 0 ... 255, rounded as OpenCV does (in [0, 1] again); a constant image becomes black."""
    levels = pixels.double().mul(255).round()
    least, largest = levels.amin((1, 2, 3), keepdim=True), levels.amax((1, 2, 3), keepdim=True)
    scale = 255 * (1 / (largest - least).clamp(min=1))
    # OpenCV's factor and summand are float32, and so is their fused product and sum, whose halves are rounded to even.
    product = levels * scale.float().double() + (-least * scale).float().double()
    return (product.float().round() / 255).to(pixels.dtype)


def resized_positions(table: Tensor, positions: str) -> Tensor:
    """[1, 1 + n * n, D] to [1, 1 + 37 * 37, D], bicubically; any other shape is left for the refusal."""
    side = math.isqrt(table.shape[1] - 1) if table.ndim == 3 else 0
    if table.ndim != 3 or side * side + 1 != table.shape[1] or side == CELLS:
        return table
    grid = table[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2).float()
    # The tenth of a cell was meant against rounding, yet it moves every place but the first.
    how: dict[str, Any] = {"scale_factor": (CELLS + 0.1) / side} if positions == "scale" else {"size": CELLS}
    grid = functional.interpolate(grid, mode="bicubic", align_corners=False, **how)
    return torch.cat([table[:, :1].float(), grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def build(
    encoders: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any], vocabulary: list[str] | None
) -> RadZero:
    """``options``: those of ``Options``; ``encoders`` belong to other models.

    Raises:
        ValueError: no checkpoint, or its tensors are not the released ones.
    """
    own = released.released_options(Options, options, RadZero.label)
    if own.checkpoint == released.IN_RECIPE:
        return RadZero(own, vocabulary or [])
    weights = released.read_weights(own.checkpoint)
    if POSITIONS in weights:
        weights[POSITIONS] = resized_positions(weights[POSITIONS], own.positions)
    own = _with_normalisation(own)
    model = RadZero(own, read_padded(own.tokenizer, weights.get(WORD_TABLE), own.checkpoint))
    released.take_weights(model, weights, released_names(model), UNREAD, own.checkpoint)
    model.recipe = released.saved_recipe("radzero", asdict(own), model.vocabulary)
    return model


def released_names(model: RadZero) -> dict[str, str]:
    """The model's names of its tensors and the released ones."""
    names = {}
    for own in model.state_dict():
        name = own
        if own.startswith(("vision.", "align.")):
            for part, theirs in DINO_PARTS.items():
                name = name.replace(part, theirs)
        start = next(start for start in NAMES if name.startswith(start))
        names[own] = NAMES[start] + name.removeprefix(start)
    return names


def _with_normalisation(options: Options) -> Options:
    """The options with the mean and standard deviation of the snapshot, or BLIP's.

    Raises:
        ValueError: they are not three numbers each.
    """
    file = Path(options.tokenizer) / PROCESSOR
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    mean = options.mean or tuple(found.get("image_mean", MEAN))
    std = options.std or tuple(found.get("image_std", STD))
    if len(mean) != 3 or len(std) != 3:
        raise ValueError(f"RadZero's mean and std are three numbers each, found {mean} and {std}.")
    return replace(options, mean=mean, std=std)

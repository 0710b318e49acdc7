"""MedCLIP as released (``pytorch_model.bin``), to be evaluated, not trained (Wang et al., EMNLP 2022).

Swin-Tiny or ResNet-50 at 224 pixels and Bio_ClinicalBERT; the score of a pair is the cosine of two pooled embeddings
times the learnt scale. There is no local feature, so no heatmap. docs/quirks.md says what the release does in an
unusual way; each has an option here.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines import chexpert_prompts, released, torchvision_cure
from baselines.base import ImageFeatures, TextBatch, TextFeatures
from baselines.config import BertOptions
from baselines.options.medclip import Options
from baselines.precision import unrounded, widened
from baselines.towers.bert import BertTower, read_padded
from baselines.towers.resnet import CHANNELS, resnet50, stages
from offclip.names import one_of

DIM, SIZE, TOKENS = 512, 224, 77
MEAN, STD = 0.5862785803043838, 0.27950088968644304
LAYERS = (1, 2, 12)
"""Hidden states of the text encoder that are averaged; 0 is the embedding."""
LARGEST_SCALE = 4.6052
"""Bound of the scale's logarithm, ln 100 as released."""
FILE = "pytorch_model.bin"
ANCHOR = "vision_model.model.fc.weight"
"""A tensor that only the ResNet's file holds."""
WORD_TABLE = "text_model.model.embeddings.word_embeddings.weight"
UNREAD = {"text_model.model.pooler.dense.weight": (768, 768), "text_model.model.pooler.dense.bias": (768,)}
NAMES = {
    "text.model.": "text_model.model.",
    "text_projection.": "text_model.projection_head.",
    "image.": "vision_model.model.",
}
PROJECTION = {"vit": "vision_model.projection_head.", "resnet": "vision_model.model.fc."}
SWIN_PARTS = {
    **{
        f".attention.{own}_proj.": f".attention.self.{name}."
        for own, name in zip("qkv", ("query", "key", "value"), strict=True)
    },
    ".attention.o_proj.": ".attention.output.dense.",
    ".attention.relative_position_bias.": ".attention.self.",
    ".mlp.fc1.": ".intermediate.dense.",
    ".mlp.fc2.": ".output.dense.",
}
"""Names of transformers 5 and those of the release, which are transformers 4's."""
PNEUMONIA = (
    ("round", "early", "focal", "multifocal", "small", ""),
    ("bacterial", "viral", "mycoplasma", ""),
    (*chexpert_prompts.PARTS["atelectasis"][2], "at the left middle lobe", "at the right middle lobe", ""),
)
"""Adjective, subtype and place, as published for pneumonia, which none of them names."""


class MedCLIP(released.Released):
    """The released towers and the published score."""

    label: ClassVar[str] = "MedCLIP"
    input_size: ClassVar[int] = SIZE
    publishes_heatmaps: ClassVar[bool] = False

    def __init__(self, options: Options, vocabulary: list[str]) -> None:
        super().__init__()
        one_of("`model_options.vision`", options.vision or "", ("vit", "resnet"))
        self.options, self.prompts = options, options.prompts
        pneumonia = tuple(" ".join(words) for words in product(*PNEUMONIA))
        self.own_prompts = {**chexpert_prompts.combinations(), "pneumonia": pneumonia}
        self.own_pooling = "mean" if options.ensemble else "max"
        if options.vision == "vit":
            self.image, width = _swin(), 768
        else:
            self.image, width = resnet50(), CHANNELS["layer4"]
        self.image_projection = nn.Linear(width, DIM, bias=False)
        self.text = BertTower(BertOptions(max_tokens=TOKENS, cleaning="none"), vocabulary)
        self.text_projection = nn.Linear(self.text.dim, DIM, bias=False)
        self.logit_scale = nn.Parameter(torch.zeros(()))
        self.vocabulary = self.text.vocabulary

    def tokenize(self, texts: list[str]) -> TextBatch:
        """Word pieces, cut at 77 and padded to the longest of ``texts``."""
        encoded = self.text.tokenizer(texts, padding=True, truncation=True, max_length=TOKENS)
        return TextBatch(torch.tensor(encoded["input_ids"]), torch.tensor(encoded["attention_mask"]).bool())

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """The whole image, which is its only cell."""
        self.require_size(pixels.shape[-1])
        pixels = released.resized(pixels, SIZE, SIZE, self.options.interpolation)
        pixels = released.normalised(pixels, MEAN, STD)
        if self.options.vision == "vit":
            pooled = self.image(pixels).pooler_output
        else:
            pooled = stages(self.image, pixels)[1].mean((2, 3))
        pooled = functional.normalize(self.image_projection(pooled), dim=-1)
        return ImageFeatures(pooled, pooled[:, None, None])

    def encode_texts(self, tokens: TextBatch) -> TextFeatures:
        """The whole text; it stands for its words too, which the model does not use."""
        output = self.text.model(tokens.ids, tokens.mask.long(), output_hidden_states=True)
        hidden = torch.stack([output.hidden_states[layer] for layer in LAYERS]).mean(0)  # (B, T, 768)
        counted = tokens.mask if self.options.padding == "alone" else torch.ones_like(tokens.mask)
        mean = (hidden * counted[..., None]).sum(1) / counted.sum(1, keepdim=True)
        pooled = functional.normalize(self.text_projection(mean), dim=-1)
        return TextFeatures(pooled, pooled[:, None], torch.ones_like(tokens.mask[:, :1]))

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[Tensor]:
        """Cosine times the learnt scale."""
        with unrounded(images.pooled.device):
            cosine = widened(images.pooled) @ widened(texts.pooled).T
            return [cosine * self.logit_scale.clamp(0, LARGEST_SCALE).exp()]

    def heatmaps(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """There is none.

        Raises:
            ValueError: always.
        """
        raise ValueError("MedCLIP: no heatmap published.")


def _swin() -> nn.Module:
    torchvision_cure.apply()
    from transformers import SwinConfig, SwinModel

    return SwinModel(SwinConfig())  # its defaults are Swin-Tiny with windows of 7 at 224 pixels


def build(
    encoders: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any], vocabulary: list[str] | None
) -> MedCLIP:
    """``options``: those of ``Options``; ``encoders`` belong to other models.

    Raises:
        ValueError: no checkpoint, or its tensors are not the released ones.
    """
    own = released.released_options(Options, options, MedCLIP.label)
    if own.checkpoint == released.IN_RECIPE:
        return MedCLIP(own, vocabulary or [])
    _refuse_packed(own.checkpoint)
    weights = released.read_weights(own.checkpoint)
    own = replace(own, vision=own.vision or ("resnet" if ANCHOR in weights else "vit"))
    model = MedCLIP(own, read_padded(own.tokenizer, weights.get(WORD_TABLE), own.checkpoint))
    released.take_weights(model, weights, released_names(model), UNREAD, own.checkpoint)
    model.recipe = released.saved_recipe("medclip", asdict(own), model.vocabulary)
    return model


def released_names(model: MedCLIP) -> dict[str, str]:
    """The model's names of its tensors and the released ones."""
    beginnings = {"image_projection.": PROJECTION[model.options.vision or ""], **NAMES}
    names = {}
    for own in model.state_dict():
        name = own
        for part, theirs in SWIN_PARTS.items():
            name = name.replace(part, theirs)
        start = next((start for start in beginnings if name.startswith(start)), "")
        names[own] = beginnings.get(start, "") + name.removeprefix(start)
    return names


def _refuse_packed(checkpoint: str) -> None:
    """The release comes as a zip with the file inside; a torch file is a zip too, without that member."""
    if not Path(checkpoint).is_file() or not zipfile.is_zipfile(checkpoint):
        return
    with zipfile.ZipFile(checkpoint) as packed:
        inside = [name for name in packed.namelist() if name.rpartition("/")[2] == FILE]
    if inside:
        raise ValueError(f"{checkpoint} is still packed; unpack it and give its {inside[0]} as `checkpoint`.")

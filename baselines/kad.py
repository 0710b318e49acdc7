"""KAD as released (``best_valid.pt``), to be evaluated, not trained (Zhang et al., Nature Communications 2023).

A ResNet-50 and a BERT of medical knowledge; a finding's name is a query that four layers of cross-attention put to the
image's cells, and the score is the probability that it is present. docs/quirks.md says what the release does in an
unusual way; each has an option here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines import checkpoints, released
from baselines.attention import Attention, Layer
from baselines.base import ImageFeatures, TextBatch, TextFeatures
from baselines.config import BertOptions
from baselines.options.kad import Options
from baselines.precision import unrounded, widened
from baselines.towers.bert import BertTower, read_padded
from baselines.towers.resnet import CHANNELS, resnet50, stages

DIM, LAYERS, HEADS, FFN, TOKENS = 768, 4, 4, 1024, 256
SMALL = 224
"""Input of the release whose tokens are the third stage's cells; every other size has the last stage's."""
SIZES = (SMALL, 512, 1024)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PAIRS_AT_ONCE = 16_384
"""Pairs whose activations are held together while scoring (64 MiB at the feed-forward width)."""
PARTS = ("image_encoder", "text_encoder", "model")
"""State dicts of the file."""
NAMES = {
    "image.": "image_encoder.resnet.",
    "hidden.": "image_encoder.res_l1.",
    "tokens.": "image_encoder.res_l2.",
    "text.model.": "text_encoder.bert_model.",
    "pooler.": "text_encoder.bert_model.pooler.dense.",
    "text_head.": "text_encoder.mlp_embed.",
    "query.layers.": "model.decoder.layers.",
    "query.norm.": "model.decoder_norm.",
    "query.head.": "model.mlp_head.0.",
}
ALIASES = {
    **{
        f"image_encoder.res_features.{place}.": f"image_encoder.resnet.{part}."
        for place, part in {0: "conv1", 1: "bn1", 4: "layer1", 5: "layer2", 6: "layer3", 7: "layer4"}.items()
    },
    "model.decoder.norm.": "model.decoder_norm.",
}
"""Tensors that the files hold a second time under another name."""
WORD_TABLE = "text_encoder.bert_model.embeddings.word_embeddings.weight"
HIDDEN = "image_encoder.res_l1.weight"
"""Its width says which stage of the ResNet it reads."""
UNREAD: dict[str, tuple[int, ...]] = {
    "image_encoder.resnet.fc.weight": (1000, 2048),
    "image_encoder.resnet.fc.bias": (1000,),
    "text_encoder.logit_scale": (),
    "model.logit_scale": (),
}


class QueryLayer(Layer):
    """Attention among the queries, then to the image's tokens, then feed-forward; pre-norm."""

    def __init__(self) -> None:
        super().__init__(DIM, HEADS, FFN, dropout=0.0)
        self.self_attn = Attention(DIM, HEADS, dropout=0.0)
        self.norm1 = nn.LayerNorm(DIM)

    def among(self, x: Tensor, together: bool) -> Tensor:
        """Queries [B, Q, D] after their attention to each other, or each to itself alone."""
        normed = self.norm1(x)
        if together:
            return x + self.self_attn(normed, *self.self_attn.project(normed), None)
        # The only query there is gets the attention 1: what is read is its own value.
        to_value, bias = self.self_attn.in_proj_weight[2 * DIM :], self.self_attn.in_proj_bias[2 * DIM :]
        return x + self.self_attn.out_proj(functional.linear(normed, to_value, bias))


class QueryNetwork(nn.Module):
    """Puts queries to the tokens of images; one LayerNorm serves tokens, queries and output, as released."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(QueryLayer() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(DIM)
        self.head = nn.Linear(DIM, 2)

    def forward(self, tokens: Tensor, queries: Tensor, together: bool) -> Tensor:
        """What the queries have become: [B, Q, D] from tokens [B, S, D] and queries [Q, D]."""
        *_, (_, _, after) = self._steps(tokens, queries, together)
        return self.norm(after)

    def attention(self, tokens: Tensor, queries: Tensor, together: bool) -> Tensor:
        """The last layer's cross-attention, mean over its heads: [B, Q, S]."""
        *_, (asking, keys, _) = self._steps(tokens, queries, together)
        last = cast("QueryLayer", self.layers[-1])
        return last.multihead_attn.weights(last.norm2(asking), keys, None)

    def _steps(self, tokens: Tensor, queries: Tensor, together: bool) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Of each layer: the queries that ask the image, its keys, and what comes out."""
        memory, x = self.norm(tokens), self.norm(queries)[None]
        for layer in cast("list[QueryLayer]", list(self.layers)):
            keys, values = layer.multihead_attn.project(memory)
            asking = layer.among(x, together)
            x = layer(asking, keys, values, None)
            yield asking, keys, x


class KAD(released.Released):
    """The released towers and query network."""

    label: ClassVar[str] = "KAD"
    input_size: int  # type: ignore[misc]  # it follows from the file

    def __init__(self, options: Options, vocabulary: list[str]) -> None:
        super().__init__()
        self.options, self.prompts = options, options.prompts
        self.input_size = options.size or SIZES[1]
        self.image: Any = resnet50()
        width = CHANNELS["layer4"]
        if self.input_size == SMALL:
            width = CHANNELS["layer3"]
            self.image.layer4 = nn.Identity()
        self.hidden, self.tokens = nn.Linear(width, width), nn.Linear(width, DIM)
        self.text = BertTower(BertOptions(dim=DIM, max_tokens=TOKENS, cleaning="none"), vocabulary)
        self.pooler = nn.Linear(DIM, DIM)
        self.text_head = nn.Sequential(nn.Linear(DIM, DIM), nn.GELU(), nn.Linear(DIM, DIM))
        self.query = QueryNetwork()
        self.vocabulary = self.text.vocabulary

    def sentences(self, finding: str, common: Sequence[str]) -> tuple[str, ...]:
        """The finding's bare name under ``prompts: own``."""
        return (finding.lower(),) if self.prompts == "own" else tuple(common)

    def tokenize(self, texts: list[str]) -> TextBatch:
        """Word pieces, cut at 256 and padded to the longest of ``texts``; padding is masked everywhere."""
        encoded = self.text.tokenizer(texts, padding=True, truncation=True, max_length=TOKENS)
        return TextBatch(torch.tensor(encoded["input_ids"]), torch.tensor(encoded["attention_mask"]).bool())

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """The cells of the image squashed to the input's size, and their mean."""
        self.require_size(pixels.shape[-1])
        pixels = released.resized(pixels, self.input_size, self.input_size, "bicubic")
        cells = stages(self.image, released.normalised(pixels, MEAN, STD))[1].permute(0, 2, 3, 1)
        tokens = self.tokens(functional.relu(self.hidden(cells)))
        return ImageFeatures(tokens.mean((1, 2)), tokens)

    def encode_texts(self, tokens: TextBatch) -> TextFeatures:
        """The query of each text; it stands for its words too, which the model does not use."""
        hidden = self.text.model(tokens.ids, tokens.mask.long()).last_hidden_state
        pooled = self.text_head(torch.tanh(self.pooler(hidden[:, 0])))
        return TextFeatures(pooled, pooled[:, None], torch.ones_like(tokens.mask[:, :1]))

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[Tensor]:
        """How far the network's output for "present" lies above that for "absent"."""
        present = []
        for part in images.grid.flatten(1, 2).split(max(1, PAIRS_AT_ONCE // len(texts))):
            decoded = self.query(part, texts.pooled, self.options.queries == "together")
            with unrounded(part.device):
                absent, there = self.query.head(widened(decoded)).unbind(-1)
                present.append(there - absent)
        return [torch.cat(present)]

    def similarity(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """The published score: the probability that the finding is present."""
        return self.pair_logits(images, texts)[0].sigmoid()

    def heatmaps(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """The published map: the last layer's attention, divided by its maximum."""
        tokens = images.grid.flatten(1, 2)
        attention = self.query.attention(tokens, texts.pooled, self.options.queries == "together")
        return (attention / attention.amax(-1, keepdim=True)).unflatten(-1, images.grid.shape[1:3])


def build(encoders: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any], vocabulary: list[str] | None) -> KAD:
    """``options``: those of ``Options``; ``encoders`` belong to other models.

    Raises:
        ValueError: no checkpoint, its tensors are not the released ones, or it is of another input size.
    """
    own = released.released_options(Options, options, KAD.label)
    if own.checkpoint == released.IN_RECIPE:
        return KAD(own, vocabulary or [])
    weights = {
        name: tensor
        for name, tensor in checkpoints.read(own.checkpoint, PARTS).items()
        if not released.INDEX_BUFFERS.search(name)
    }
    own = replace(own, size=_size(own, weights))
    model = KAD(own, read_padded(own.tokenizer, weights.get(WORD_TABLE), own.checkpoint))
    released.take_weights(model, weights, NAMES, unread(model), own.checkpoint)
    _refuse_differing_aliases(weights, own.checkpoint)
    model.recipe = released.saved_recipe("kad", asdict(own), model.vocabulary)
    return model


def _size(options: Options, weights: Mapping[str, Tensor]) -> int:
    """The input's side.

    Raises:
        ValueError: it is no published size, or not that of the file.
    """
    if options.size is not None and options.size not in SIZES:
        raise ValueError(f"`model_options.size` must be one of {', '.join(map(str, SIZES))}, found {options.size}.")
    is_small = HIDDEN in weights and weights[HIDDEN].shape[:1] == (CHANNELS["layer3"],)
    size = options.size or (SMALL if is_small else SIZES[1])
    if HIDDEN in weights and is_small != (size == SMALL):
        right = SMALL if is_small else "512 or 1024"
        raise ValueError(f"{options.checkpoint} is a model of {right} pixels; set `model_options.size` to that.")
    return size


def unread(model: KAD) -> dict[str, tuple[int, ...]]:
    """Names and shapes of what the file holds and no score reads: duplicates, classifier, at 224 the last stage."""
    shapes = {name: tuple(tensor.shape) for name, tensor in resnet50().state_dict().items()}
    found = dict(UNREAD)
    for name, shape in shapes.items():
        own = f"image_encoder.resnet.{name}"
        is_idle = name.startswith("layer4.") and model.input_size == SMALL
        found[own if is_idle else _alias(own)] = shape
    return found | {f"model.decoder.norm.{part}": (DIM,) for part in ("weight", "bias")}


def _alias(name: str) -> str:
    alias, start = next((alias, start) for alias, start in ALIASES.items() if name.startswith(start))
    return alias + name.removeprefix(start)


def _refuse_differing_aliases(weights: Mapping[str, Tensor], source: str) -> None:
    """Raise a ValueError where a duplicate holds other values, since nothing says which ones count."""
    for name, tensor in weights.items():
        alias = next((alias for alias in ALIASES if name.startswith(alias)), None)
        if alias and not torch.equal(tensor, weights[twin := ALIASES[alias] + name.removeprefix(alias)]):
            raise ValueError(f"{source} holds different values under {name} and {twin}, which are one tensor.")

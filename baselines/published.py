"""The released CARZero and OFF-CLIP checkpoints, to be evaluated, not trained.

Both releases share one architecture and one set of 434 tensor names: CARZero's is a Lightning file (names prefixed
``CARZero.``, an OmegaConf object beside the weights), OFF-CLIP's a dictionary with ``model_state_dict``. Every name
must be there and none too many; a prefix of any wrapper (``module.``) is found from the names themselves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from baselines import checkpoints
from baselines.base import Recipe, load_exactly
from baselines.carzero import CARZero
from baselines.config import parse
from baselines.options.carzero import PUBLISHED
from baselines.options.published import Options
from baselines.towers.bert import read_padded

OWN_PREFIX = {"img_encoder.model.": "image.model.", "text_encoder.model.": "text.model.", "fusion_module.": "fusion."}
SCALED = 256
"""Pixels of the longer side before the crop of 224."""
UNUSED = re.compile(
    r"fusion_module\.(logit_scale|decoder\.norm\.(weight|bias)|decoder\.layers\.\d+\.(self_attn\.|norm1\.).*)$"
    r"|text_encoder\.model\.(pooler\.dense\.(weight|bias)|embeddings\.position_ids)$"
)
"""Tensors that the released files hold and the released forward pass never reads (``decoder.norm`` is an alias of
``decoder_norm``)."""
ANCHOR = "fusion_module.decoder_norm.weight"
"""A name whose prefix is the prefix of all."""


def to_own_names(weights: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Released names to this package's names; tensors that are never read are left out.

    Raises:
        ValueError: it is no such checkpoint, or the alias holds other values than what it aliases.
    """
    anchors = [name for name in weights if name.endswith(ANCHOR)]
    if len(anchors) != 1:
        raise ValueError(
            f"{source} is not a CARZero or OFF-CLIP checkpoint: expected one tensor named '...{ANCHOR}', found "
            f"{len(anchors)} among {len(weights)} (first: {next(iter(weights))})."
        )
    prefix = anchors[0].removesuffix(ANCHOR)
    own = {}
    for name, tensor in weights.items():
        bare = name.removeprefix(prefix)
        if UNUSED.match(bare):
            continue
        # A name with another prefix stays as it is, so that it is reported as unexpected.
        start = next((released for released in OWN_PREFIX if bare.startswith(released)), None)
        own[OWN_PREFIX[start] + bare.removeprefix(start) if start else name] = tensor
    for part in ("weight", "bias"):
        alias = weights.get(f"{prefix}fusion_module.decoder.norm.{part}")
        if alias is not None and not torch.equal(alias, own[f"fusion.decoder_norm.{part}"]):
            raise ValueError(f"{source}: decoder.norm.{part} and decoder_norm.{part} differ; they are one LayerNorm.")
    return own


def build(
    encoders: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any], vocabulary: list[str] | None
) -> CARZero:
    """``options``: those of ``Options``; the architecture is the released one, whatever ``encoders`` says.

    Raises:
        ValueError: a file is missing, or its tensors are not the released ones (the first of them named).
    """
    own = parse(Options, options, "model_options")
    weights = to_own_names(checkpoints.read(own.checkpoint), own.checkpoint)
    sizes = {
        name: len(weights[f"text.model.embeddings.{name}_embeddings.weight"])
        for name in ("word", "position")
        if f"text.model.embeddings.{name}_embeddings.weight" in weights
    }
    if len(sizes) < 2:
        raise ValueError(f"{own.checkpoint} lacks the text encoder's word or position embeddings.")
    towers: dict[str, dict[str, Any]] = {
        "image": {"kind": "vit", "scaled": SCALED},
        "text": {"kind": "bert", "positions": sizes["position"]},
    }
    pieces = read_padded(own.tokenizer, weights["text.model.embeddings.word_embeddings.weight"], own.checkpoint)
    model = CARZero(towers, PUBLISHED, pieces)
    load_exactly(model, weights, own.checkpoint)
    model.recipe = Recipe("carzero", towers, {"published": True}, model.vocabulary)
    return model

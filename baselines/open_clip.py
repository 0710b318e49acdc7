"""Any open_clip model, and checkpoints shaped like OpenAI's CLIP (CheXzero's): cosine of two pooled embeddings.

``checkpoint`` is a released model: the folder of a hub snapshot that was copied to this machine (it holds
``open_clip_config.json``), its hub name such as ``hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224``,
or a file of weights, from which alone the architecture can be read where it is OpenAI's. ``name`` is an architecture
of open_clip such as ``ViT-B-32-quickgelu``: for a file of weights of that shape, or to be trained.
Nothing is fetched where a folder or a file is given.
"""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from baselines import checkpoints, torchvision_cure
from baselines.base import Baseline, ImageFeatures, TextBatch, TextFeatures, load_exactly
from baselines.config import parse
from baselines.options.open_clip import Options
from baselines.released import require_size

HUB = "hf-hub:"
WEIGHTS = (".safetensors", ".bin", ".pth")
"""Endings of the files in a snapshot that open_clip reads weights from."""
SIZES = ("input_resolution", "context_length", "vocab_size")
"""Numbers that OpenAI's files keep among the weights."""


class OpenCLIP(Baseline):
    """An open_clip model behind the contract; images are resized and normalised as it was trained."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, tokenizer: Any, options: Options) -> None:
        """Wrap ``model`` with the tokenizer that belongs to it."""
        super().__init__()
        from open_clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
        from open_clip.model import get_model_preprocess_cfg

        self.model: Any = model
        self.tokenizer = tokenizer
        preprocess = get_model_preprocess_cfg(model)
        size = preprocess["size"]
        self.size: int = size if isinstance(size, int) else size[0]
        self.interpolation: str = preprocess.get("interpolation", "bicubic")
        for name, own, usual in (
            ("mean", options.mean, OPENAI_DATASET_MEAN),
            ("std", options.std, OPENAI_DATASET_STD),
        ):
            channels = preprocess.get(name, usual) if own is None else [own] * 3
            self.register_buffer(name, torch.tensor(channels)[:, None, None], persistent=False)

    def tokenize(self, texts: list[str]) -> TextBatch:
        """The model's own tokens."""
        ids = self.tokenizer(texts)
        return TextBatch(ids, ids != 0)

    def require_size(self, size: int) -> None:
        """See ``Baseline``; asked of released models, which are never given enlarged images."""
        require_size("this open_clip model", self.size, size)

    def encode_images(self, pixels: Tensor) -> ImageFeatures:
        """The whole image, and its patches where the tower has some (else one cell, the whole)."""
        if pixels.shape[-1] != self.size:
            size = (self.size, self.size)
            pixels = functional.interpolate(pixels, size, mode=self.interpolation, antialias=True).clamp(0, 1)
        normalised = (pixels.expand(-1, 3, -1, -1) - self.mean) / self.std
        visual = self.model.visual
        linear = getattr(visual, "proj", None)
        if not hasattr(visual, "forward_intermediates") or (linear is None and not hasattr(visual, "head")):
            pooled = functional.normalize(self.model.encode_image(normalised), dim=-1)
            return ImageFeatures(pooled, pooled[:, None, None])
        # One pass of the tower gives the whole image and the patch tokens of its last layer.
        last = visual.forward_intermediates(normalised, indices=1, normalize_intermediates=True)
        tokens = last["image_intermediates"][-1].permute(0, 2, 3, 1)  # (B, h, w, C)
        cells = (
            tokens @ linear if linear is not None else visual.head(tokens.flatten(0, 2)).unflatten(0, tokens.shape[:3])
        )
        pooled = functional.normalize(last["image_features"], dim=-1)
        return ImageFeatures(pooled, functional.normalize(cells, dim=-1))

    def encode_texts(self, tokens: TextBatch) -> TextFeatures:
        """The whole text; it stands for its words too, which these models do not use."""
        pooled = functional.normalize(self.model.encode_text(tokens.ids), dim=-1)
        return TextFeatures(pooled, pooled[:, None], torch.ones_like(tokens.mask[:, :1]))

    def pair_logits(self, images: ImageFeatures, texts: TextFeatures) -> list[Tensor]:
        """Cosine times the learnt scale, plus the learnt bias where the model has one (SigLIP)."""
        logits = images.pooled @ texts.pooled.T * self.model.logit_scale.exp()
        bias = getattr(self.model, "logit_bias", None)
        return [logits if bias is None else logits + bias]

    @torch.no_grad()
    def constrain(self) -> None:
        """Clamp the scale at 100, as OpenAI and open_clip's training do."""
        self.model.logit_scale.clamp_(0, math.log(100))

    def heatmaps(self, images: ImageFeatures, texts: TextFeatures) -> Tensor:
        """Cosine of each projected patch with the text."""
        return torch.einsum("bhwd,td->bthw", images.grid, texts.pooled)


def build(
    encoders: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any], vocabulary: list[str] | None
) -> OpenCLIP:
    """``options``: those of ``Options``; ``encoders`` and ``vocabulary`` belong to other models.

    Raises:
        ValueError: nothing is named, the model cannot be made or fetched, or the weights do not fit.
    """
    own = parse(Options, options, "model_options")
    torchvision_cure.apply()
    import open_clip

    name, weights = own.name, own.checkpoint
    if weights and (Path(weights).is_dir() or weights.startswith(HUB)):
        name, weights = weights, None
    if name is None:
        assert weights is not None  # the options ask for one of the two
        return OpenCLIP(_openai_shaped(weights), open_clip.get_tokenizer("ViT-B-32"), own)
    # A snapshot without weights would otherwise be a random model with a warning.
    snapshot = weights is None and (Path(name).is_dir() or name.startswith(HUB))
    try:
        changes = _local_text_tower(Path(name)) if Path(name).is_dir() else {}
        if snapshot and Path(name).is_dir():
            _refuse_unreadable(Path(name))
        place = f"local-dir:{name}" if Path(name).is_dir() else name
        model = open_clip.create_model(
            place, pretrained=own.pretrained, load_weights=weights is None, require_pretrained=snapshot, **changes
        )
        tokenizer = open_clip.get_tokenizer(place)
    except _Unreadable as error:
        raise ValueError(str(error)) from None
    except (RuntimeError, OSError, ValueError, pickle.UnpicklingError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"open_clip cannot build '{name}' ({reason}); without a network, give the folder of its snapshot, with the "
            "`config.json` of its text tower where that is a model of the hub."
        ) from None
    if weights:
        load_exactly(model, checkpoints.read(weights), weights)
    return OpenCLIP(model, tokenizer, own)


class _Unreadable(Exception):
    """A file of weights that is damaged, or holds code."""


def _refuse_unreadable(folder: Path) -> None:
    """Read the snapshot's weights as all others are, so that a bad file ends in the same sentence.

    Raises:
        _Unreadable: a file of weights is damaged, or holds objects of classes that are not allowed.
    """
    for file in sorted(path for path in folder.iterdir() if path.suffix in WEIGHTS):
        try:
            checkpoints.read(file)
        except ValueError as error:
            raise _Unreadable(str(error)) from None


def _local_text_tower(folder: Path) -> dict[str, Any]:
    """What makes open_clip read the architecture of a transformers text tower from the folder, not from the hub.

    BiomedCLIP names its text tower by PubMedBERT's hub name; where that model's ``config.json`` lies in the folder, it
    is read there. Its weights are among the snapshot's either way.
    """
    configuration = folder / "open_clip_config.json"
    if not configuration.is_file() or not (folder / "config.json").is_file():
        return {}
    text = json.loads(configuration.read_text(encoding="utf-8"))["model_cfg"]["text_cfg"]
    if "hf_model_name" not in text:
        return {}
    return {"text_cfg": {**text, "hf_model_name": str(folder), "hf_model_pretrained": False}}


def _openai_shaped(path: str) -> nn.Module:
    """The model whose sizes are those of the weights, in float32.

    Raises:
        ValueError: the file's tensors are not those of OpenAI's CLIP.
    """
    from open_clip.model import build_model_from_openai_state_dict

    weights = {name.removeprefix("module."): tensor for name, tensor in checkpoints.read(path).items()}
    weights = {name: tensor.float() for name, tensor in weights.items() if name not in SIZES}
    try:
        model = build_model_from_openai_state_dict(dict(weights), cast_dtype=torch.float32).float()
    except (KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"{path} is not shaped like OpenAI's CLIP ({reason}); set `model_options.name`.") from None
    # The builder rounds to half precision on the way; the weights of a fine-tuned model are loaded again as they are.
    load_exactly(model, weights, path)
    return model

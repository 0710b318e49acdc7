"""A ``weights/`` folder as a user fills it: one writer for each release, in the structure that was published.

The values are those of the arrays' rule (tests/parity.py) where a list of tensors lies outside the repository, else
random; nothing here comes from a released file. ``SMALL`` writes the two whose architecture is in the file at a size
for quick tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor

from baselines import kad, torchvision_cure
from tests import parity
from tests.baselines import files

torchvision_cure.apply()
import open_clip  # noqa: E402
import transformers  # noqa: E402

Change = Callable[[dict[str, Tensor]], dict[str, Any]]
"""From the tensors of a release to what takes their place in its file."""
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "there", "is", "no", "finding", "."]
SMALL_BERT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
SMALL_VISION = {"image_size": 32, "layers": 2, "width": 64, "head_width": 64, "patch_size": 8}
SMALL_TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}
LIGHTNING = {"epoch": 14, "pytorch-lightning_version": "1.1.4", "callbacks": {}, "lr_schedulers": []}


def same(weights: dict[str, Tensor]) -> dict[str, Any]:
    """The tensors as they are."""
    return dict(weights)


def zeros(weights: dict[str, Tensor]) -> dict[str, Any]:
    """The same names and shapes over one stored zero each, so that a file takes kilobytes."""
    return dict(files.without_values(weights))


def write(release: str, folder: Path, change: Change = same, *, small: bool = False) -> Path:
    """Write a release's files below ``folder`` (``weights/``) where profiles/released.yaml looks for them.

    Args:
        release: a name of baselines/releases.toml.
        folder: made if missing.
        change: of the tensors that are written, for broken files.
        small: of ``chexzero`` and ``biomedclip``, at a size for quick tests.

    Returns:
        The file of weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path: Path = WRITERS[release](folder, change, small)
    return path


def _listed(configuration: str, source: Path, change: Change) -> dict[str, Any]:
    """The tensors of a list, filled by the rule; a file that will be broken needs names and shapes alone."""
    if change is same:
        return parity.filled(configuration, source)
    names = parity.keys(configuration, source)
    return change({name: torch.zeros(()).expand(entry["shape"]) for name, entry in names.items()})


def _saved(content: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def _vocabulary(folder: Path, arrays: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(arrays["vocab"].tolist()) + "\n")


def _carzero(folder: Path, change: Change, small: bool) -> Path:
    """A Lightning file: a wrapper's prefix, and the configuration as an OmegaConf object."""
    _vocabulary(folder / "BioClinicalMPBERT", parity.arrays("text_agg.npz"))
    own = {f"CARZero.{name}": tensor for name, tensor in _listed("full_model", parity.FOLDER, change).items()}
    beside = LIGHTNING | {"hyper_parameters": OmegaConf.create({"model": {"text": {"word_num": 97}}})}
    return _saved(beside | {"state_dict": own}, folder / "CARZero_best_model.ckpt")


def _offclip(folder: Path, change: Change, small: bool) -> Path:
    _vocabulary(folder / "BioClinicalMPBERT", parity.arrays("text_agg.npz"))
    own = _listed("full_model", parity.FOLDER, change)
    if change is same:  # other values than CARZero's in the same structure; aliases stay aliases
        own = {name: tensor * 0.9 if tensor.is_floating_point() else tensor for name, tensor in own.items()}
    return _saved({"epoch": 9, "model_state_dict": own}, folder / "offclip_best_model.ckpt")


def _chexzero(folder: Path, change: Change, small: bool) -> Path:
    """A bare state dict of OpenAI's CLIP, from which the sizes are read."""
    torch.manual_seed(0)
    if small:
        model = open_clip.CLIP(32, SMALL_VISION, SMALL_TEXT, quick_gelu=True)
    else:
        model = open_clip.create_model("ViT-B-32-quickgelu", pretrained=None)
    return _saved(change(model.state_dict()), folder / "best_64_0.0002_original_17000_0.864.pt")


def _biomedclip(folder: Path, change: Change, small: bool) -> Path:
    """A hub snapshot whose text tower is described by another model of the hub, that description beside it."""
    place = folder / "BiomedCLIP"
    place.mkdir(exist_ok=True)
    transformers.BertTokenizer(vocab={word: k for k, word in enumerate(WORDS)}).save_pretrained(place)
    (place / "vocab.txt").write_text("\n".join(WORDS))
    transformers.BertConfig(vocab_size=len(WORDS), **(SMALL_BERT if small else {})).save_pretrained(place)
    vision = (
        SMALL_VISION
        if small
        else {"timm_model_name": "vit_base_patch16_224", "timm_model_pretrained": False, "timm_pool": "",
              "timm_proj": "linear", "image_size": 224}
    )  # fmt: skip
    text: dict[str, Any] = {
        "context_length": 256, "hf_tokenizer_name": "nobody/absent", "hf_pooler_type": "cls_pooler",
        "hf_model_name": "nobody/absent", "hf_proj_type": "mlp",
    }  # fmt: skip
    model: dict[str, Any] = {"embed_dim": 32 if small else 512, "vision_cfg": vision, "text_cfg": text}
    preprocess = {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], "interpolation": "bicubic"}
    (place / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": preprocess}))
    torch.manual_seed(0)
    here = {**text, "hf_model_name": str(place), "hf_model_pretrained": False}
    built = open_clip.create_model(f"local-dir:{place}", load_weights=False, text_cfg=here)
    return _saved(change(built.state_dict()), place / "open_clip_pytorch_model.bin")


def _gloria(folder: Path, change: Change, small: bool) -> Path:
    source = parity.RELEASED / "gloria"
    _vocabulary(folder / "Bio_ClinicalBERT", parity.arrays("arrays.npz", source))
    beside = LIGHTNING | {"hyper_parameters": OmegaConf.create({"phase": "pretrain"})}
    own = _listed("gloria_resnet50", source, change)
    return _saved(beside | {"state_dict": own}, folder / "chexpert_resnet50.ckpt")


def _medclip(folder: Path, change: Change, small: bool) -> Path:
    source = parity.RELEASED / "medclip"
    _vocabulary(folder / "Bio_ClinicalBERT", parity.arrays("arrays.npz", source))
    return _saved(_listed("medclip_vit", source, change), folder / "medclip-vit" / "pytorch_model.bin")


def _kad(folder: Path, change: Change, small: bool) -> Path:
    """Three state dicts, and what the training keeps beside them."""
    source = parity.RELEASED / "kad"
    _vocabulary(folder / "Med-KEBERT", parity.arrays("arrays.npz", source))
    content: dict[str, Any] = {part: {} for part in kad.PARTS}
    for name, tensor in _listed("kad_512", source, change).items():
        part, _, own = name.partition(".")
        if part in content:
            content[part][own] = tensor
        else:
            content[name] = tensor
    beside = {"optimizer": {"param_groups": [{"lr": 1e-4}]}, "epoch": 42}
    return _saved(content | beside, folder / "KAD_512" / "best_valid.pt")


def _biovil_t(folder: Path, change: Change, small: bool) -> Path:
    source = parity.RELEASED / "biovil"
    _vocabulary(folder / "BiomedVLP-BioViL-T", parity.arrays("arrays.npz", source))
    text = _listed("cxr_bert", source, same if change is same else zeros)
    _saved(text, folder / "BiomedVLP-BioViL-T" / "pytorch_model.bin")
    return _saved(_listed("biovil_t_image", source, change), folder / "biovil_t_image_model_proj_size_128.pt")


def _radzero(folder: Path, change: Change, small: bool) -> Path:
    source = parity.RELEASED / "radzero"
    arrays = parity.arrays("arrays.npz", source)
    _vocabulary(folder / "RadZero", arrays)
    numbers = {"image_mean": arrays["mean"].tolist(), "image_std": arrays["std"].tolist()}
    (folder / "RadZero" / "preprocessor_config.json").write_text(json.dumps(numbers))
    return _saved(_listed("radzero", source, change), folder / "RadZero" / "pytorch_model.bin")


WRITERS: dict[str, Callable[[Path, Change, bool], Path]] = {
    "carzero": _carzero,
    "offclip": _offclip,
    "chexzero": _chexzero,
    "biomedclip": _biomedclip,
    "gloria": _gloria,
    "medclip": _medclip,
    "kad": _kad,
    "biovil_t": _biovil_t,
    "radzero": _radzero,
}
OWN = ("chexzero", "biomedclip")
"""Releases whose tensors need no list from outside the repository."""

"""The weights that training starts from: what params.yaml names, and what of it is not there yet.

Nothing is fetched; the embedded default needs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmark.pipeline import layout, pretrained
from benchmark.pipeline.settings import Settings

TEXT_FILES = ("config.json", "vocab.txt")
"""What a text tower's folder holds beside its weights."""
TEXT_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
IMAGE_START = "VITB-16-M3AE_last.ckpt"
"""Where the released image towers start; its link is in CARZero's repository."""


def missing(chosen: Settings) -> list[str]:
    """What `train` would ask for in vain, a sentence each."""
    return [sentence for part in (_text, _image) for sentence in part(chosen.encoders)]


def _text(encoders: dict[str, dict[str, Any]]) -> list[str]:
    """The text tower's folder, or its name on the Hugging Face hub."""
    name = encoders.get("text", {}).get("init")
    if not name:
        return []
    folder = Path(name)
    if not folder.is_dir() and folder.is_absolute():
        return [f"encoders.text.init: there is no folder {name}."]
    if not folder.is_dir():
        if _is_in_the_cache(name):
            return []
        return [
            f"encoders.text.init: {name} is neither a folder here nor in the cache of the Hugging Face hub; where "
            f"there is a network, `hf download {name}` fetches it once; else copy it here (config.json, vocab.txt and "
            "the weights) and name that folder."
        ]
    absent = [file for file in TEXT_FILES if not (folder / file).is_file()]
    if not any((folder / file).is_file() for file in TEXT_WEIGHTS):
        absent.append(" or ".join(TEXT_WEIGHTS))
    return [f"encoders.text.init: the folder {name} lacks {', '.join(absent)}."] if absent else []


def _is_in_the_cache(name: str) -> bool:
    """Whether the hub's cache on this machine has what ``name`` stands for."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        return all(isinstance(try_to_load_from_cache(name, file), str) for file in TEXT_FILES)
    except HFValidationError:
        return False


def _image(encoders: dict[str, dict[str, Any]]) -> list[str]:
    """The image tower's checkpoint; a released tower without one is blind to place."""
    image = encoders.get("image", {})
    name = image.get("init")
    if name:
        is_there = pretrained.is_made_here(name) or Path(name).is_file()
        return [] if is_there else [f"encoders.image.init: there is no file {name}."]
    if image.get("kind") == "vit" and image.get("positions", "frozen") == "frozen":
        return [
            f"encoders.image.init: nothing is named, so the tower would start at random and, its positions frozen at "
            f"zero, blind to place; put the path of {IMAGE_START} there (CARZero's repository links to it), or "
            f"{layout.PRETRAINED} to pretrain it here, or set `positions: learnt`."
        ]
    return []

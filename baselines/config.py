"""The towers' options as validated dataclasses, free of torch so that settings can be checked in a moment.

``encoders: {image: {kind: conv, ...}, text: {kind: words, ...}}`` of params.yaml ends here.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, TypeVar, Union, get_args, get_origin, get_type_hints

from offclip.names import nearest

Options = TypeVar("Options")


@dataclass(frozen=True)
class ConvOptions:
    """A small convolutional image tower for CPUs (baselines/towers/conv.py)."""

    kind: ClassVar[str] = "conv"
    width: int = 16
    """Channels of the stem; the two stages have 2x and 4x."""
    dim: int = 64
    """Width of the features that leave the tower."""
    init: str | None = None
    """Weights of this very tower to start from (stage ``pretrain``); None = random."""


@dataclass(frozen=True)
class VitOptions:
    """A vision transformer (baselines/towers/vit.py); the defaults are the published ViT-B/16."""

    kind: ClassVar[str] = "vit"
    size: int = 224
    """Side of the square input, pixels; a larger image is cropped about its centre."""
    patch: int = 16
    dim: int = 768
    depth: int = 12
    heads: int = 12
    mean: float = 0.4978
    std: float = 0.2449
    positions: str = "frozen"
    """``frozen``: as released, zero until a checkpoint fills them, never trained. ``learnt``: random start, trained;
    without a checkpoint the tower is otherwise blind to place."""
    init: str | None = None
    """Checkpoint to start from, e.g. the release's ``VITB-16-M3AE_last.ckpt``; None = random."""


@dataclass(frozen=True)
class WordOptions:
    """Word embeddings and transformer layers over a word vocabulary (baselines/towers/words.py)."""

    kind: ClassVar[str] = "words"
    dim: int = 64
    layers: int = 1
    heads: int = 4
    max_tokens: int = 32


@dataclass(frozen=True)
class BertOptions:
    """A BERT text tower (baselines/towers/bert.py); the defaults are the published BERT-base."""

    kind: ClassVar[str] = "bert"
    init: str | None = None
    """Folder or hub name with weights and ``vocab.txt``; None = random weights over the given vocabulary."""
    dim: int = 768
    layers: int = 12
    heads: int = 12
    ffn: int = 3072
    positions: int = 512
    max_tokens: int = 97
    last_layers: int = 4
    """Hidden states that are summed."""
    sentence: str = "slots"
    """``slots``: mean over all ``max_tokens`` slots, zero padding counted (published; the scale of the sentence then
    depends on its length). ``words``: mean over the real words."""
    cleaning: str = "published"
    """``published``: what the release does to every caption and prompt before it is tokenised (words alone, no
    punctuation; a text of one word vanishes and "3.5 cm" loses its "3."). ``none``: the text as dictated."""
    lowercase: bool = True


IMAGE_TOWERS = {options.kind: options for options in (ConvOptions, VitOptions)}
TEXT_TOWERS = {options.kind: options for options in (WordOptions, BertOptions)}


@dataclass(frozen=True)
class EncoderOptions:
    """Both towers of a model."""

    image: ConvOptions | VitOptions
    text: WordOptions | BertOptions


def encoder_options(values: Mapping[str, Mapping[str, Any]]) -> EncoderOptions:
    """Validate ``{"image": {"kind": ..., ...}, "text": {...}}``.

    Raises:
        ValueError: an unknown key, kind or type; the sentence gives its path and the nearest valid name.
    """
    if unknown := sorted(set(values) - {"image", "text"}):
        raise ValueError(f"`encoders.{unknown[0]}` does not exist{nearest(unknown[0], ['image', 'text'])}.")
    if missing := sorted({"image", "text"} - set(values)):
        raise ValueError(f"`encoders.{missing[0]}` is missing; give it at least `kind`.")
    towers = {}
    for part, kinds in (("image", IMAGE_TOWERS), ("text", TEXT_TOWERS)):
        given = dict(values[part])
        kind = given.pop("kind", None)
        if kind not in kinds:
            hint = nearest(str(kind), kinds)
            raise ValueError(f"`encoders.{part}.kind` must be one of {', '.join(kinds)}, found {kind!r}{hint}.")
        towers[part] = parse(kinds[kind], given, f"encoders.{part}")
    return EncoderOptions(**towers)  # type: ignore[arg-type]


def parse(options: type[Options], values: Mapping[str, Any], where: str) -> Options:
    """Make an options dataclass from a mapping, checking names and types.

    Args:
        options: a dataclass of plain fields (int, float, bool, str, None, tuple of those).
        values: what params.yaml holds.
        where: the path printed in errors, e.g. ``encoders.image``.

    Raises:
        ValueError: an unknown name or a value of another type.
    """
    hints = get_type_hints(options)
    names = {field.name: field for field in fields(options)}  # type: ignore[arg-type]
    known = {}
    for name, value in values.items():
        if name not in names:
            raise ValueError(f"`{where}.{name}` does not exist{nearest(name, names)}; known: {', '.join(names)}.")
        known[name] = _converted(value, hints[name], f"{where}.{name}")
    for name, field in names.items():
        if name not in known and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"`{where}.{name}` is missing.")
    return options(**known)


def _converted(value: Any, hint: Any, where: str) -> Any:
    """``value`` as the type ``hint`` asks; YAML's 1 for 1.0 and list for tuple are accepted."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        for member in get_args(hint):
            try:
                return _converted(value, member, where)
            except ValueError:
                continue
    elif origin is tuple and isinstance(value, list | tuple):
        return tuple(_converted(item, get_args(hint)[0], where) for item in value)
    elif hint is float and type(value) in (int, float):
        return float(value)
    elif hint in (int, bool, str, type(None)) and type(value) is hint:
        return value
    name = getattr(hint, "__name__", str(hint)) if origin is None else str(hint)
    raise ValueError(f"`{where}` must be {name}, found {value!r}.")

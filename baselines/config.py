"""The towers' options as validated dataclasses, free of torch so that settings can be checked in a moment.

``encoders: {image: {kind: conv, ...}, text: {kind: words, ...}}`` of params.yaml ends here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_type_hints

from offclip.names import nearest
from offclip.options import Positive, Range, Size, typed_all

Options = TypeVar("Options")


@dataclass(frozen=True)
class ConvOptions:
    """A small convolutional image tower for CPUs (baselines/towers/conv.py)."""

    kind: ClassVar[str] = "conv"
    width: Size = 16
    """Channels of the stem; the two stages have 2x and 4x."""
    dim: Size = 64
    """Width of the features that leave the tower."""
    init: str | None = None
    """Weights of this very tower to start from (stage ``pretrain``); None = random."""


@dataclass(frozen=True)
class VitOptions:
    """A vision transformer (baselines/towers/vit.py); the defaults are the published ViT-B/16."""

    kind: ClassVar[str] = "vit"
    size: Size = 224
    """Side of the square input, pixels; a larger image is cropped about its centre."""
    scaled: Size | None = None
    """Side to which a larger image is brought before that crop, pixels; None = it is cropped as it is."""
    patch: Size = 16
    dim: Size = 768
    depth: Size = 12
    heads: Size = 12
    mean: float = 0.4978
    std: Positive = 0.2449
    positions: Literal["frozen", "learnt"] = "frozen"
    """``frozen``: as released, zero until a checkpoint fills them, never trained. ``learnt``: random start, trained;
    without a checkpoint the tower is otherwise blind to place."""
    init: str | None = None
    """Checkpoint to start from, e.g. the release's ``VITB-16-M3AE_last.ckpt``; None = random."""

    def __post_init__(self) -> None:
        divides("heads", self.heads, "dim", self.dim)
        divides("patch", self.patch, "size", self.size)
        if self.scaled is not None and (self.scaled < self.size or (self.scaled - self.size) % (2 * self.patch)):
            raise ValueError(
                f"`scaled` must be `size` ({self.size}) plus a multiple of two patches ({2 * self.patch}), "
                f"found {self.scaled}."
            )


@dataclass(frozen=True)
class WordOptions:
    """Word embeddings and transformer layers over a word vocabulary (baselines/towers/words.py)."""

    kind: ClassVar[str] = "words"
    dim: Size = 64
    layers: Annotated[int, Range(0, 64)] = 1
    """0: the words' embeddings alone."""
    heads: Size = 4
    max_tokens: Size = 32

    def __post_init__(self) -> None:
        divides("heads", self.heads, "dim", self.dim)


@dataclass(frozen=True)
class BertOptions:
    """A BERT text tower (baselines/towers/bert.py); the defaults are the published BERT-base."""

    kind: ClassVar[str] = "bert"
    init: str | None = None
    """Folder or hub name with weights and ``vocab.txt``; None = random weights over the given vocabulary."""
    dim: Size = 768
    layers: Annotated[int, Range(1, 64)] = 12
    heads: Size = 12
    ffn: Size = 3072
    positions: Size = 512
    max_tokens: Annotated[int, Range(3, 65_536)] = 97
    """[CLS] and [SEP] included."""
    last_layers: Size = 4
    """Hidden states that are summed."""
    sentence: Literal["slots", "words"] = "slots"
    """``slots``: mean over all ``max_tokens`` slots, zero padding counted (published; the scale of the sentence then
    depends on its length). ``words``: mean over the real words."""
    cleaning: Literal["published", "none"] = "published"
    """``published``: what the release does to every caption and prompt before it is tokenised (words alone, no
    punctuation; a text of one word vanishes and "3.5 cm" loses its "3."). ``none``: the text as dictated."""
    lowercase: bool = True

    def __post_init__(self) -> None:
        divides("heads", self.heads, "dim", self.dim)
        if self.max_tokens > self.positions:
            raise ValueError(f"`max_tokens` {self.max_tokens} is more than the {self.positions} `positions`.")
        if self.last_layers > self.layers + 1:
            raise ValueError(
                f"`last_layers` {self.last_layers} is more than the {self.layers + 1} hidden states of {self.layers} "
                "`layers`."
            )


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
        options: a dataclass whose fields are typed as ``offclip.options`` reads them.
        values: what params.yaml holds.
        where: the path printed in errors, e.g. ``encoders.image``.

    Raises:
        ValueError: an unknown name, a value of another type or outside its range, or values that do not fit together.
    """
    hints = get_type_hints(options, include_extras=True)
    own = {field.name: field for field in fields(options)}  # type: ignore[arg-type]
    known = typed_all(values, {name: hints[name] for name in own}, where)
    for name, field in own.items():
        if name not in known and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"`{where}.{name}` is missing.")
    try:
        return options(**known)
    except ValueError as error:
        raise ValueError(f"`{where}`: {error}") from None


def divides(part: str, count: int, whole: str, width: int) -> None:
    """Refuse a width that cannot be cut into equal parts.

    Raises:
        ValueError: names both options.
    """
    if width % count:
        raise ValueError(f"`{whole}` {width} must be a multiple of `{part}` {count}.")


def overridden(encoders: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The towers' options with what a model's own options change of them under ``image`` and ``text``.

    Key by key, or whole where they name another ``kind``.

    Raises:
        ValueError: a change is no mapping.
    """
    towers = {}
    for part, values in encoders.items():
        changes = options.get(part, {})
        if not isinstance(changes, Mapping):
            raise ValueError(f"`model_options.{part}` must be options of the {part} tower, found {changes!r}.")
        towers[part] = {**({} if changes.get("kind", values.get("kind")) != values.get("kind") else values), **changes}
    return towers


def plain(options: Any) -> dict[str, Any]:
    """The mapping that ``parse`` reads back; a tower's ``kind`` included."""
    values = asdict(options)
    return {"kind": options.kind, **values} if hasattr(options, "kind") else values

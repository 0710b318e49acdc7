"""The image and text encoders that models share; ``build_towers`` makes both from their options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from baselines.config import BertOptions, ConvOptions, VitOptions, WordOptions, encoder_options
from baselines.towers.base import ImageTower, TextTower


def build_towers(
    encoders: Mapping[str, Mapping[str, Any]], vocabulary: list[str] | None
) -> tuple[ImageTower, TextTower]:
    """The image tower and the text tower that ``encoders`` describes.

    Both have ``dim`` (width of their features); the text tower has ``tokenize``. Heavy libraries are imported only
    for the towers that need them.

    Raises:
        ValueError: an unknown option or kind.
    """
    options = encoder_options(encoders)
    return image_tower(options.image), text_tower(options.text, vocabulary)


def image_tower(options: ConvOptions | VitOptions) -> ImageTower:
    """The image tower of these options."""
    if isinstance(options, ConvOptions):
        from baselines.towers.conv import ConvTower

        return ConvTower(options)
    from baselines.towers.vit import VitTower

    return VitTower(options)


def text_tower(options: WordOptions | BertOptions, vocabulary: list[str] | None) -> TextTower:
    """The text tower of these options."""
    if isinstance(options, WordOptions):
        from baselines.towers.words import WordTower

        return WordTower(options, vocabulary)
    from baselines.towers.bert import BertTower

    return BertTower(options, vocabulary)

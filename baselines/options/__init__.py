"""What each model can be told: ``<model>.py`` here holds the dataclass ``Options`` of baselines/<model>.py.

Apart from the models because nothing here imports torch: `plan` checks every option of params.yaml in the first second.
A model without a file here checks its options itself, when it is built.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from baselines.config import EncoderOptions, encoder_options, overridden, parse


class ModelOptions:
    """What a model's options may refuse besides their own types and ranges."""

    @classmethod
    def names(cls) -> set[str]:
        """Of the options."""
        return set(get_type_hints(cls))

    def fits(self, towers: EncoderOptions) -> None:
        """Refuse towers that the model cannot be built on.

        Raises:
            ValueError: what does not fit what.
        """


def check(model: str, encoders: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any], where: str) -> None:
    """Refuse options that a model could not be built with.

    Args:
        model: a file of baselines/.
        encoders: the towers' options.
        options: the model's own, its changes of the towers (``image`` and ``text``) among them.
        where: the path printed in errors, e.g. ``systems.clip.model_options``.

    Raises:
        ValueError: an unknown name, a value of another type or outside its range, or values that do not fit together.
    """
    towers = encoder_options(overridden(encoders, options))
    if (declared := of(model)) is not None:
        own = {name: value for name, value in options.items() if name not in encoders}
        parse(declared, own, where).fits(towers)


def of(model: str) -> type[ModelOptions] | None:
    """The options that a model declares here; None where it declares none."""
    if not (Path(__file__).parent / f"{model}.py").is_file():
        return None
    declared: type[ModelOptions] = importlib.import_module(f"baselines.options.{model}").Options
    return declared


def one_width(image: int, text: int, projection: int | None) -> None:
    """Refuse towers of two widths that nothing projects into one space.

    Raises:
        ValueError: names both widths.
    """
    if projection is None and image != text:
        raise ValueError(
            f"without a projection the towers must have one width, found image {image} and text {text}; "
            "set `dim` of both in `encoders`, or `model_options: {projection: 512}`."
        )

"""What is checked: a model that can be built again and again, and the images and texts that it is shown."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.common import files
from benchmark.common.errors import UserError, nearest, one_line
from benchmark.pipeline import layout, pretrained, settings
from benchmark.planning import checks, code

if TYPE_CHECKING:
    from torch import Tensor

    from baselines.base import Baseline, ImageFeatures, TextFeatures

TEXTS = (
    "There is no pneumothorax or pleural effusion.",
    "There is a small left pleural effusion.",
    "The cardiac silhouette is enlarged, 3.5 cm above normal.",
    "",
    "There is no finding. " * 40,
)
"""Short, long, with numbers, and empty: what a report can hold."""
IMAGES = 4
EVALUATED_ONLY = "left out: a released model that is evaluated only"
NO_HEATMAP = "no heatmap published"


class Broken(Exception):
    """The contract is not kept; the message says how."""


def require(condition: bool, message: str) -> None:
    """Raise ``Broken`` with the message unless the condition holds."""
    if not condition:
        raise Broken(message)


@dataclass(frozen=True)
class Subject:
    """What is checked."""

    build: Callable[[], Baseline]
    """Builds the model; the same weights for the same torch seed."""
    objective: str
    objective_options: dict[str, Any]
    size: int
    """Side of the images that are scored, pixels."""
    training_size: int | None = None
    """Side of the images that augmentation leaves in training; None = the same."""

    def model(self) -> Baseline:
        """A fresh model from seed 0, in evaluation mode."""
        import torch

        torch.manual_seed(0)
        return self.build().eval()

    def pixels(self, size: int | None = None) -> Tensor:
        """[IMAGES, 1, S, S]: smooth random shades, the same every time."""
        import torch
        from torch.nn import functional

        coarse = torch.rand(IMAGES, 1, 8, 8, generator=torch.Generator().manual_seed(0))
        side = size or self.size
        return functional.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1)

    def features(self, model: Baseline) -> tuple[ImageFeatures, TextFeatures]:
        """All images and all texts, encoded together."""
        return model.encode_images(self.pixels()), model.encode_texts(model.tokenize(list(TEXTS)))


def of(name: str, values: settings.Settings) -> Subject:
    """The system called ``name`` in params.yaml, or the model of that name with the default options.

    Raises:
        UserError: neither exists, or the model cannot be built with those options.
    """
    from baselines import base

    system, models = values.systems.get(name), checks.models()
    file = f"baselines/{system.model if system else name}.py"
    if (system.model if system else name) not in models and (code.ROOT / file).is_file():
        raise UserError(f"{file} defines no function `build`; docs/adding-a-baseline.md says what it should return.")
    if system is None:
        if name not in models:
            known = [*values.systems, *models]
            raise UserError(
                f"'{name}' is neither a system of {layout.PARAMS} nor a file of baselines/{nearest(name, known) or '.'}"
            )
        system = settings.SystemSettings(label=name, model=name)
    options, vocabulary, encoders = system.options, _vocabulary(), _encoders(values)

    def build() -> Baseline:
        return base.load(system.model, encoders, options, vocabulary)

    try:
        build()
    except ValueError as error:
        raise UserError(f"{name}: {error}") from None
    except Exception as error:  # a newcomer's model may fail in any way
        at = traceback.extract_tb(error.__traceback__)[-1]
        raise UserError(
            f"{name} could not be built: {one_line(error, 300)} "
            f"({at.filename}, line {at.lineno}); fix it before training."
        ) from None
    size = values.cohort.size
    cropped = round(size * settings.PUBLISHED_CROP) if values.training.augment == "published" else size
    return Subject(build, system.objective, system.objective_options, size, cropped)


def _vocabulary() -> list[str]:
    """That of the training captions; before they exist, the words of the texts that are checked."""
    path = layout.CAPTIONS / "vocabulary.json"
    if path.exists():
        return list(files.read_json(path))
    return sorted({word.strip(".,").lower() for text in TEXTS for word in text.split()})


def _encoders(values: settings.Settings) -> dict[str, dict[str, Any]]:
    """Those of params.yaml; before stage ``pretrain`` wrote its weights, towers start at random."""
    encoders = pretrained.of_seed(values.encoders, values.seeds[0])
    for options in encoders.values():
        init = options.get("init")
        if init and Path(init).is_relative_to(layout.PRETRAINED) and not Path(init).exists():
            options["init"] = None
    return encoders

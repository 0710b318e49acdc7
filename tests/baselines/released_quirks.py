"""``python -m tests.baselines.released_quirks``: how far each published quirk of a released model moves its scores.

The complete models, their parameters filled by the arrays' rule, score the arrays' images with the arrays' prompts;
then one option at a time takes its other value. docs/quirks.md shows what is printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn import functional

from baselines import gloria_released, medclip
from baselines.base import TextFeatures
from baselines.gloria_released import GLoRIAReleased, GLoRIAReleasedOptions
from baselines.medclip import MedCLIP, MedCLIPOptions
from baselines.released import IN_RECIPE, INDEX_BUFFERS, Released, take_weights
from tests import parity


@dataclass(frozen=True)
class Change:
    """What one option does to the scores."""

    mean: float
    """Mean absolute change."""
    largest: float
    between_images: float
    """Largest absolute change once each prompt's mean change is taken out: what an AUC under one prompt can see."""
    rank_correlation: float
    """Spearman's, over all scores."""
    spread: float
    """Standard deviation of the default's scores."""

    @classmethod
    def of(cls, before: Tensor, after: Tensor) -> Change:
        """Of two [images, prompts]."""
        moved = after - before
        return cls(
            moved.abs().mean().item(),
            moved.abs().max().item(),
            (moved - moved.mean(0)).abs().max().item(),
            float(spearmanr(before.flatten(), after.flatten()).statistic),
            before.std().item(),
        )


def _filled(model: Released, configuration: str, name: str, names: dict[str, str], unread: Any) -> None:
    weights = parity.filled(configuration, parity.RELEASED / name)
    weights = {k.removeprefix("gloria."): v for k, v in weights.items() if not INDEX_BUFFERS.search(k)}
    take_weights(model, weights, names, unread, configuration)


def gloria() -> Iterator[tuple[str, Change]]:
    """Options of ``gloria_released``."""
    arrays = parity.arrays("arrays.npz", parity.RELEASED / "gloria")
    options = GLoRIAReleasedOptions(IN_RECIPE)
    model = GLoRIAReleased(options, arrays["vocab"].tolist()).eval()
    _filled(model, "gloria_resnet50", "gloria", gloria_released.NAMES, gloria_released.UNREAD)
    pixels = functional.pad(parity.normalised(arrays["gray_u8"]), [16] * 4)

    def scores(**changed: Any) -> Tensor:
        model.options = replace(options, **changed)
        with torch.no_grad():
            texts = model.encode_texts(model.tokenize(arrays["prompts"].tolist()))
            return model.across_images(model.eval().similarity(model.encode_images(pixels), texts))

    plain = scores()
    for changed in ({"local_words": "words"}, {"standardise": True}, {"batch_statistics": True}):
        ((name, value),) = changed.items()
        yield f"GLoRIA, `{name}: {str(value).lower()}`", Change.of(plain, scores(**changed))


def medclips(vision: str) -> Iterator[tuple[str, Change]]:
    """Options of ``medclip`` with one of its vision towers."""
    arrays = parity.arrays("arrays.npz", parity.RELEASED / "medclip")
    options = MedCLIPOptions(IN_RECIPE, vision=vision)
    model = MedCLIP(options, arrays["vocab"].tolist()).eval()
    _filled(model, f"medclip_{vision}", "medclip", medclip.released_names(model), medclip.UNREAD)
    squares = [_square(arrays[f"prep_in_{name}"]) for name in "ab"]

    def scores(**changed: Any) -> Tensor:
        model.options = replace(options, **changed)
        parts = []
        for number in range(len(arrays["class_names"])):
            own = (arrays["prompt_class"] == number).nonzero()[:, 0].tolist()
            parts.append(model.encode_texts(model.tokenize([arrays["prompts"][place] for place in own])))
        images = model.encode_images(parity.normalised(arrays["gray_u8"]))
        return model.similarity(images, TextFeatures.cat(parts))

    def larger(**changed: Any) -> Tensor:
        model.options = replace(options, **changed)
        texts = model.encode_texts(model.tokenize(arrays["prompts"].tolist()))
        return torch.cat([model.similarity(model.encode_images(square), texts) for square in squares])

    with torch.no_grad():
        yield f"MedCLIP {vision}, `padding: together`", Change.of(scores(), scores(padding="together"))
        yield f"MedCLIP {vision}, `interpolation: bicubic`", Change.of(larger(), larger(interpolation="bicubic"))


def _square(grey: Tensor) -> Tensor:
    """[h, w] uint8 centred on black: [1, 1, S, S] in [0, 1]."""
    height, width = grey.shape
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    return functional.pad(parity.normalised(grey[None]), (left, side - width - left, top, side - height - top))


def table() -> Iterator[str]:
    """The rows of a Markdown table."""
    yield "| option | mean | max | between images | rank correlation | spread of the scores |"
    yield "|---|--:|--:|--:|--:|--:|"
    for rows in (gloria(), medclips("vit"), medclips("resnet")):
        for name, change in rows:
            yield f"| {name} | " + " | ".join(f"{value:.4f}" for value in vars(change).values()) + " |"


if __name__ == "__main__":
    print(*table(), sep="\n")

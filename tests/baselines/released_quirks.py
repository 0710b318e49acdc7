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
from torch import Tensor, nn
from torch.nn import functional

from baselines import biovil_t, gloria_released, kad, medclip, radzero
from baselines.base import ImageFeatures, TextFeatures
from baselines.biovil_t import BioViLT
from baselines.gloria_released import GLoRIAReleased
from baselines.kad import KAD
from baselines.medclip import MedCLIP
from baselines.radzero import RadZero
from baselines.released import IN_RECIPE, INDEX_BUFFERS, take_weights
from baselines.towers import cxr_bert
from baselines.towers.bert import padded
from baselines.unfilled import Unfilled
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


def _filled(model: nn.Module, configuration: str, name: str, names: dict[str, str], unread: Any) -> None:
    weights = parity.filled(configuration, parity.RELEASED / name)
    weights = {k.removeprefix("gloria."): v for k, v in weights.items() if not INDEX_BUFFERS.search(k)}
    take_weights(model, weights, names, unread, configuration)


def gloria() -> Iterator[tuple[str, Change]]:
    """Options of ``gloria_released``."""
    arrays = parity.arrays("arrays.npz", parity.RELEASED / "gloria")
    options = gloria_released.Options(IN_RECIPE)
    with Unfilled():
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
    options = medclip.Options(IN_RECIPE, vision=vision)
    with Unfilled():
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


def kads() -> Iterator[tuple[str, Change]]:
    """The option of ``kad``, with the arrays' four prompts."""
    arrays = parity.arrays("arrays.npz", parity.RELEASED / "kad")
    options = kad.Options(IN_RECIPE, size=512)
    with Unfilled():
        model = KAD(options, arrays["vocab"].tolist()).eval()
    _filled(model, "kad_512", "kad", kad.NAMES, kad.unread(model))
    with torch.no_grad():
        images = model.encode_images(parity.normalised(arrays["gray_u8"]))
        texts = model.encode_texts(model.tokenize(arrays["prompts"].tolist()))
        alone = model.similarity(images, texts)
        model.options = replace(options, queries="together")
        yield "KAD, `queries: together`", Change.of(alone, model.similarity(images, texts))


def biovils() -> Iterator[tuple[str, Change]]:
    """Options of ``biovil_t``: the crop, and its contrast of two prompts with two others."""
    arrays = parity.arrays("arrays.npz", parity.RELEASED / "biovil")
    options = biovil_t.Options(IN_RECIPE, "", vision="biovil_t")
    weights = parity.filled("cxr_bert", parity.RELEASED / "biovil")
    with Unfilled():
        model = BioViLT(options, padded(arrays["vocab"].tolist(), len(weights[cxr_bert.WORD_TABLE]))).eval()
    _filled(model.vision, "biovil_t_image", "biovil", biovil_t.NAMES, biovil_t.UNREAD["biovil_t"])
    take_weights(model.language, weights, cxr_bert.NAMES, cxr_bert.unread(weights), "cxr_bert")
    prompts = arrays["prompts"].tolist()
    affirming, denying = (biovil_t.AND.join(part) for part in (prompts[:2], prompts[2:]))

    def scores(texts: list[str]) -> Tensor:
        with torch.no_grad():
            images = [model.encode_images(_square(arrays[f"raw_{number}"], 512)) for number in range(3)]
            return model.similarity(ImageFeatures.cat(images), model.encode_texts(model.tokenize(texts)))

    contrast = Change.of(scores([affirming]), scores([affirming + biovil_t.BUT + denying]))
    before = scores(prompts)
    model.crop = biovil_t.SCALED
    yield "BioViL-T, `crop: 512`", Change.of(before, scores(prompts))
    yield "BioViL-T, `contrast: true`", contrast


def radzeros() -> Iterator[tuple[str, Change]]:
    """Options of ``radzero``, for the two images that do not use all grey values."""
    arrays = parity.arrays("arrays.npz", parity.RELEASED / "radzero")
    options = radzero.Options(IN_RECIPE)
    weights = parity.filled("radzero", parity.RELEASED / "radzero")
    with Unfilled():
        model = RadZero(options, padded(arrays["vocab"].tolist(), len(weights[radzero.WORD_TABLE]))).eval()
    squares = [_square(arrays[f"raw_{number}"]) for number in (0, 2)]

    def scores(positions: str = "scale", **changed: Any) -> Tensor:
        model.options = replace(options, **changed)
        table = radzero.resized_positions(weights[radzero.POSITIONS], positions)
        taken = weights | {radzero.POSITIONS: table}
        take_weights(model, taken, radzero.released_names(model), radzero.UNREAD, "radzero")
        with torch.no_grad():
            texts = model.encode_texts(model.tokenize(arrays["prompts"].tolist()))
            return torch.cat([model.similarity(model.encode_images(square), texts) for square in squares])

    plain = scores()
    yield "RadZero, `stretch: false`", Change.of(plain, scores(stretch=False))
    yield "RadZero, `positions: size`", Change.of(plain, scores(positions="size"))


def _square(grey: Tensor, least: int = 0) -> Tensor:
    """[h, w] uint8 centred on black: [1, 1, S, S] in [0, 1], S at least ``least``."""
    height, width = grey.shape
    side = max(height, width, least)
    top, left = (side - height) // 2, (side - width) // 2
    return functional.pad(parity.normalised(grey[None]), (left, side - width - left, top, side - height - top))


def table() -> Iterator[str]:
    """The rows of a Markdown table."""
    yield "| option | mean | max | between images | rank correlation | spread of the scores |"
    yield "|---|--:|--:|--:|--:|--:|"
    for rows in (gloria(), medclips("vit"), medclips("resnet"), kads(), biovils(), radzeros()):
        for name, change in rows:
            yield f"| {name} | " + " | ".join(f"{value:.4f}" for value in vars(change).values()) + " |"


if __name__ == "__main__":
    print(*table(), sep="\n")

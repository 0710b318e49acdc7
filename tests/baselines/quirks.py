"""``python -m tests.baselines.quirks``: how far each published quirk moves the scores of the complete model.

The released forward pass at full scale (768 wide, 434 tensors), its parameters filled by the arrays' rule, scores the
arrays' three images with their three captions and four prompts; then one quirk at a time takes its sound variant.
docs/quirks.md shows what is printed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from scipy.stats import spearmanr
from torch import Tensor

from baselines.base import ImageFeatures, TextBatch, load_exactly
from baselines.carzero import CARZero
from baselines.fusion import Fusion
from baselines.options.carzero import PUBLISHED, FusionOptions
from baselines.published import to_own_names
from baselines.unfilled import Unfilled
from tests import parity

TOWERS = {"image": {"kind": "vit"}, "text": {"kind": "bert", "positions": 128}}
"""The published towers over the arrays' vocabulary of 30 pieces."""


@dataclass(frozen=True)
class Variant:
    """The complete model with some quirks switched."""

    name: str
    fusion: FusionOptions = PUBLISHED
    sentence: str = "slots"
    slots: int = 97
    """Length that the texts are padded to; the longest here has 12 words."""


VARIANTS = (
    Variant("one LayerNorm each, for memory, query and output", replace(PUBLISHED, shared_norm=False)),
    Variant("padding masked", replace(PUBLISHED, mask_padding=True)),
    Variant("sentence = mean over its words", sentence="words"),
    Variant("all three", replace(PUBLISHED, shared_norm=False, mask_padding=True), "words"),
    Variant("no switch, but padded to 32 slots instead of 97", slots=32),
)


def published_model(weights: Mapping[str, Tensor]) -> CARZero:
    """The complete model with the arrays' parameters (``parity.filled("full_model")``), in evaluation mode."""
    vocabulary = parity.arrays("text_agg.npz")["vocab"].tolist()
    with Unfilled():
        model = CARZero(TOWERS, PUBLISHED, vocabulary).eval()
    load_exactly(model, to_own_names(weights, "full_model"), "full_model")
    return model


def encoded(model: CARZero) -> ImageFeatures:
    """The three images, encoded."""
    with torch.no_grad():
        return model.encode_images(parity.normalised(parity.arrays("similarity_full.npz")["gray_u8"]))


def scores(model: CARZero, images: ImageFeatures, variant: Variant) -> tuple[Tensor, Tensor]:
    """Image-to-text and text-to-image logits of three images and seven texts, [3, 7] each; ``model`` is as before."""
    arrays = parity.arrays("similarity_full.npz")
    ids = torch.cat([arrays["input_ids"], arrays["prompt_ids"]])[:, : variant.slots]
    mask = torch.cat([arrays["attention_mask"], arrays["prompt_mask"]])[:, : variant.slots]
    tokens: TextBatch = model.text.batch(ids, mask)
    published = model.text.options, model.fusion
    fusion = Fusion(model.dim, variant.fusion).eval()
    # LayerNorms that the release does not have start as torch's own, gain 1 and bias 0.
    load_exactly(fusion, {**fusion.state_dict(), **published[1].state_dict()}, "the published head")
    try:
        model.text.options, model.fusion = replace(published[0], sentence=variant.sentence), fusion
        with torch.no_grad():
            image_to_text, text_to_image = model.pair_logits(images, model.encode_texts(tokens))
    finally:
        model.text.options, model.fusion = published
    return image_to_text, text_to_image


@dataclass(frozen=True)
class Change:
    """What one switch does to the scores; a score is the mean of both directions."""

    mean: float
    """Mean absolute change of the 21 scores."""
    largest: float
    image_to_text: float
    """Mean absolute change of the image-to-text logits."""
    text_to_image: float
    between_images: float
    """Largest absolute change once each text's mean change is taken out: what an AUC under one prompt can see."""
    rank_correlation: float
    """Spearman's, over the 21 scores."""


def change(before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> Change:
    """Compare [3, 7] logits of both directions."""
    score, other = (torch.stack(pair).mean(0) for pair in (before, after))
    moved = other - score
    return Change(
        moved.abs().mean().item(),
        moved.abs().max().item(),
        *((new - old).abs().mean().item() for old, new in zip(before, after, strict=True)),
        (moved - moved.mean(0)).abs().max().item(),
        float(spearmanr(score.flatten(), other.flatten()).statistic),
    )


def measure(model: CARZero, images: ImageFeatures) -> Iterator[tuple[Variant, Change]]:
    """Every variant against the published scores."""
    published = scores(model, images, Variant("published"))
    for variant in VARIANTS:
        yield variant, change(published, scores(model, images, variant))


def table(model: CARZero, images: ImageFeatures) -> list[str]:
    """The rows of a Markdown table."""
    rows = [
        "| sound variant of | mean | max | image-to-text | text-to-image | between images | rank correlation |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for variant, found in measure(model, images):
        rows.append(f"| {variant.name} | " + " | ".join(_number(value) for value in vars(found).values()) + " |")
    return rows


def _number(value: float) -> str:
    """Three decimals, or the order of what they would hide."""
    return f"{value:.3f}" if value == 0 or abs(value) >= 5e-4 else f"{value:.0e}"


if __name__ == "__main__":
    released = published_model(parity.filled("full_model"))
    seen = encoded(released)
    plain = torch.stack(scores(released, seen, Variant("published"))).mean(0)
    print(f"published scores: mean {plain.mean():.3f}, standard deviation {plain.std():.3f},")
    print(f"of which between images {plain.sub(plain.mean(0)).std():.3f}")
    print(*table(released, seen), sep="\n")

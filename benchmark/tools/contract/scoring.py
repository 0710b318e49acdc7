"""What scoring and grounding rely on: features that fit, that do not look at their batch, and maps over the image."""

from __future__ import annotations

from dataclasses import fields
from itertools import product
from typing import TYPE_CHECKING

from benchmark.tools.contract.subject import IMAGES, NO_HEATMAP, TEXTS, Subject, require

if TYPE_CHECKING:
    from torch import Tensor

    from baselines.base import Baseline, ImageFeatures, TextBatch, TextFeatures

TOLERANCE = 1e-4
"""Largest difference, relative to the scores' spread, between a pair scored alone and in a batch."""
FEWEST_CELLS = 4
"""Cells along a side of a heatmap below which its place in the image is not looked at."""
CLEARLY = 1.2
"""How much more of a change another place must show before a heatmap counts as turned."""


def shapes(subject: Subject) -> str:
    """Features count their items; every matrix is [images, texts]; heatmaps lie over them; all is finite."""
    import torch

    model = subject.model()
    with torch.inference_mode():
        images, texts = subject.features(model)
        matrices = model.pair_logits(images, texts)
        similarity, maps = model.similarity(images, texts), _maps(model, images, texts)
    expected = (IMAGES, len(TEXTS))
    require(len(images) == IMAGES, f"encode_images gave {len(images)} items for {IMAGES} images")
    require(len(texts) == len(TEXTS), f"encode_texts gave {len(texts)} items for {len(TEXTS)} texts")
    for what, found, dimensions in (
        ("ImageFeatures.pooled", images.pooled, 2),
        ("ImageFeatures.grid", images.grid, 4),
        ("TextFeatures.pooled", texts.pooled, 2),
        ("TextFeatures.words", texts.words, 3),
    ):
        require(found.ndim == dimensions, f"{what} has shape {tuple(found.shape)}, expected {dimensions} dimensions")
        require(bool(torch.isfinite(found).all()), f"{what} holds values that are not finite")
    _require_mask(texts.mask, texts.words)
    require(isinstance(matrices, list) and bool(matrices), "pair_logits must return a list of at least one matrix")
    for name, matrix in [*((f"pair_logits[{i}]", m) for i, m in enumerate(matrices)), ("similarity", similarity)]:
        require(matrix.shape == expected, f"{name} has shape {tuple(matrix.shape)}, expected {expected}")
        require(bool(torch.isfinite(matrix).all()), f"{name} holds values that are not finite")
    if maps is None:
        return f"{len(matrices)} pair matrices {expected}, {NO_HEATMAP}"
    require(maps.ndim == 4 and maps.shape[:2] == expected, f"heatmaps have shape {tuple(maps.shape)}")
    require(bool(torch.isfinite(maps).all()), "heatmaps hold values that are not finite")
    return f"{len(matrices)} pair matrices {expected}, heatmaps {maps.shape[2]}x{maps.shape[3]}"


def _require_mask(mask: Tensor, words: Tensor) -> None:
    import torch

    require(
        mask.dtype == torch.bool and mask.shape == words.shape[:2],
        f"TextFeatures.mask is {mask.dtype} of shape {tuple(mask.shape)}, expected bool {tuple(words.shape[:2])}",
    )
    require(
        not bool(words.masked_fill(mask[..., None], 0).any()), "TextFeatures.words must be zero where `mask` is False"
    )


def tokens(subject: Subject) -> str:
    """Calls with few and with many texts, short and long, give rows that fit together and are the same each time."""
    import torch

    model = subject.model()
    calls = [list(TEXTS[:1]), ["Normal."], list(TEXTS), list(TEXTS[::-1]), [TEXTS[3]]]
    batches = [model.tokenize(list(texts)) for texts in calls]
    for texts, batch in zip(calls, batches, strict=True):
        require(len(batch) == len(texts), f"tokenize gave {len(batch)} rows for {len(texts)} texts")
        require(batch.ids.dtype == torch.int64, f"TextBatch.ids must be int64, found {batch.ids.dtype}")
        require(
            batch.mask.dtype == torch.bool and batch.mask.shape == batch.ids.shape,
            f"TextBatch.mask is {batch.mask.dtype} of shape {tuple(batch.mask.shape)}, expected bool "
            f"{tuple(batch.ids.shape)}",
        )
        require(batch.ids.device.type == "cpu", f"tokenize must give tensors on the CPU, found {batch.ids.device}")
    widths = sorted({batch.ids.shape[1] for batch in batches})
    # Joining calls is training's need: a released tokenizer may pad each call to its longest text.
    if len(widths) > 1 and model.evaluate_only:
        return f"{widths[0]} to {widths[-1]} tokens a text, padded to the longest of a call"
    require(
        len(widths) == 1,
        f"calls with different texts gave {' and '.join(map(str, widths))} tokens a text; training keeps each text's "
        "tokens and puts them together, so pad every call to one width",
    )
    rows = [
        (text, _tensors(batch, i)) for texts, batch in zip(calls, batches, strict=True) for i, text in enumerate(texts)
    ]
    first = dict(reversed(rows))
    same = all(torch.equal(a, b) for text, row in rows for a, b in zip(row, first[text], strict=True))
    require(same, "the same text got other tokens beside other texts")
    joined = type(batches[0]).cat(batches)
    require(len(joined) == sum(map(len, calls)), "token batches that are joined must count all their rows")
    return f"{widths[0]} tokens a text, whatever the call"


def _tensors(batch: TextBatch, row: int) -> list[Tensor]:
    """One row of each tensor of a batch."""
    values = (getattr(batch, field.name) for field in fields(batch))
    return [value[row] for value in values if value is not None]


def determinism(subject: Subject) -> str:
    """One seed gives one set of weights and, twice, the same scores to the bit."""
    import torch

    first, second = subject.model(), subject.model()
    other = [name for name, tensor in first.state_dict().items() if not torch.equal(tensor, second.state_dict()[name])]
    require(not other, f"two builds from one seed differ in {', '.join(other)}; use torch's random generator only")
    with torch.inference_mode():
        scores = [model.similarity(*subject.features(model)) for model in (first, second, first)]
    require(all(torch.equal(scores[0], again) for again in scores[1:]), "the same pairs were scored differently twice")
    return "same seed, same weights, same scores"


def independence(subject: Subject) -> str:
    """A pair scored alone equals the same pair in a batch: its similarity, its pair logits and its heatmap."""
    import torch

    model = subject.model()
    worst = 0.0
    with torch.inference_mode():
        images, texts = subject.features(model)
        together, matrices, maps = _all(model, images, texts)
        spreads = [max(float(m.max() - m.min()), 1e-3) for m in (together, *matrices)]
        for row, image in enumerate(subject.pixels().split(1)):
            for column, text in enumerate(TEXTS):
                own = model.encode_images(image), model.encode_texts(model.tokenize([text]))
                alone, logits, map_ = _all(model, *own)
                pairs = zip((alone, *logits), (together, *matrices), spreads, strict=True)
                worst = max(worst, *(abs(float(a) - float(b[row, column])) / spread for a, b, spread in pairs))
                if maps is None or map_ is None:
                    continue
                torch.testing.assert_close(map_[0, 0], maps[row, column], atol=1e-3, rtol=1e-3)
                # Grounding asks for some images and some texts of a batch.
                chosen = model.heatmaps(images[torch.tensor([row])], texts[torch.tensor([column])])
                torch.testing.assert_close(chosen[0, 0], maps[row, column], atol=1e-3, rtol=1e-3)
    require(
        worst <= TOLERANCE,
        f"a pair scored alone differs by {worst:.1e} of the spread from the same pair in a batch; a model must not "
        "look at its batch in evaluation (batch statistics, padding)",
    )
    return f"largest difference {worst:.1e} of the scores' spread"


def _all(model: Baseline, images: ImageFeatures, texts: TextFeatures) -> tuple[Tensor, list[Tensor], Tensor | None]:
    """Similarity, pair logits and heatmaps."""
    return model.similarity(images, texts), model.pair_logits(images, texts), _maps(model, images, texts)


def _maps(model: Baseline, images: ImageFeatures, texts: TextFeatures) -> Tensor | None:
    """Heatmaps; None where the model publishes none."""
    return model.heatmaps(images, texts) if model.publishes_heatmaps else None


def placing(subject: Subject) -> str:
    """A change in one quarter of an image shows in that quarter of its heatmaps: none is turned or mirrored."""
    import torch

    model = subject.model()
    if not model.publishes_heatmaps:
        return f"left out: {NO_HEATMAP}"
    pixels = subject.pixels()
    half = subject.size // 2
    quarters = [(slice(r * half, (r + 1) * half), slice(c * half, (c + 1) * half)) for r, c in product((0, 1), (0, 1))]
    with torch.inference_mode():
        texts = model.encode_texts(model.tokenize(list(TEXTS)))
        before = model.heatmaps(model.encode_images(pixels), texts)
        if min(before.shape[2:]) < FEWEST_CELLS:
            return f"left out: heatmaps of {before.shape[2]}x{before.shape[3]} are too coarse to tell"
        changes = torch.zeros(2, 2, 2, 2)  # the quarter that was changed, then where the maps changed
        for (r, c), (rows, columns) in zip(product((0, 1), (0, 1)), quarters, strict=True):
            changed = pixels.clone()
            changed[..., rows, columns] = 1 - changed[..., rows, columns]
            difference = (model.heatmaps(model.encode_images(changed), texts) - before).abs().mean((0, 1))
            changes[r, c] = torch.nn.functional.adaptive_avg_pool2d(difference[None], 2)[0]
    agreement = {
        (turned, swapped): sum(float(changes[r, c][_turned(r, c, turned, swapped)]) for r, c in product((0, 1), (0, 1)))
        for turned in product((0, 1), (0, 1))
        for swapped in (False, True)
    }
    right = agreement[(0, 0), False]
    most = max(agreement, key=lambda key: agreement[key])
    require(
        agreement[most] <= CLEARLY * right,
        f"heatmaps lie {_spoken(*most)}: a change in one corner of the image shows in another; `grid` runs row by row "
        "from the top left",
    )
    return f"what changes in a corner changes the maps there ({right / max(sum(agreement.values()) / 8, 1e-12):.1f}x)"


def _turned(row: int, column: int, mirrored: tuple[int, int], swapped: bool) -> tuple[int, int]:
    row, column = row ^ mirrored[0], column ^ mirrored[1]
    return (column, row) if swapped else (row, column)


def _spoken(mirrored: tuple[int, int], swapped: bool) -> str:
    words = ["upside down"] * mirrored[0] + ["mirrored left to right"] * mirrored[1]
    words += ["with rows and columns exchanged"] * swapped
    return " and ".join(words)

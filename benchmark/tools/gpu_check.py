"""``python -m benchmark.tools.gpu_check``: does the GPU compute what it should, how fast, in how much memory?

One script without data, DVC or MLflow. It checks the shipped head against the published one in float64 and the
chunked step against the whole one, times the head beside the published one under float16 autocast, measures time and
peak memory of the whole published-size model's step, and says which of its targets are reached. ``--small`` runs all
of it at a small size on whatever there is, to see that the script works; such times mean nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from rich.table import Table
from torch import Tensor, nn

from baselines import base
from baselines.base import ImageFeatures, TextFeatures
from baselines.carzero import CARZero
from baselines.fusion import Fusion
from baselines.options.carzero import PUBLISHED
from benchmark.common import files
from benchmark.common.progress import console, say
from benchmark.compute.distributed import ALONE
from benchmark.pipeline.settings import TrainingSettings
from benchmark.tools.literal_head import LiteralHead
from benchmark.training import budget, ledger
from benchmark.training.loop import Learner
from benchmark.training.step import Batch, StepOptions, contrastive_backward
from offclip.losses import info_nce
from offclip.objective import build

MARGIN = 2.0
"""Ours may be this many times as far from float64 as the published head in the same precision."""
TOLERANCE = 1e-3
"""Relative difference of float32 gradients from their reference that rounding does not explain."""
SPEEDUP = 2.0
"""The target: the head in bfloat16, compiled, beside the published head under float16 autocast."""
LARGEST_BATCH, LARGEST_MEMORY = 256, 24e9
"""The target: CARZero's step at this batch fits a card of so many bytes, where the release asks for 80 GB."""
PUBLISHED_HEAD, OUR_HEAD = "published head, float16 autocast", "our head, bfloat16"


Score = Callable[..., list[Tensor]]
"""(ImageFeatures, TextFeatures) -> pair logits of both directions."""


@dataclass(frozen=True)
class Size:
    """Shapes of the check."""

    width: int
    grid: int
    slots: int
    batches: tuple[int, ...]
    encoders: dict[str, dict[str, Any]]
    image: int
    chunk: int


PUBLISHED_SIZE = Size(
    768, 14, 97, (64, 128, 256), {"image": {"kind": "vit"}, "text": {"kind": "bert"}}, image=224, chunk=32
)
SMALL_SIZE = Size(
    32, 4, 12, (8, 16),
    {"image": {"kind": "conv", "width": 8, "dim": 32}, "text": {"kind": "words", "dim": 32}}, image=32, chunk=4,
)  # fmt: skip
VOCABULARY = ["there", "is", "no", "effusion", "left", "right", "lung", "opacity", "heart", "clear", "nodule", "lobe"]


class Head(CARZero):
    """CARZero without its towers; weights start large enough for scores to differ, so that rounding can be judged."""

    def __init__(self, width: int) -> None:
        nn.Module.__init__(self)
        self.fusion = Fusion(width, replace(PUBLISHED, dropout=0.0, small_init=False))


def features(
    size: Size, image_count: int, texts: int, device: torch.device, dtype: torch.dtype
) -> tuple[ImageFeatures, TextFeatures]:
    """Random features, leaves that collect gradients."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(device, dtype).requires_grad_()

    mask = torch.ones(texts, size.slots, dtype=torch.bool, device=device)
    images = ImageFeatures(random(image_count, size.width), random(image_count, size.grid, size.grid, size.width))
    return images, TextFeatures(random(texts, size.width), random(texts, size.slots, size.width), mask)


def head_step(
    score: Score, images: ImageFeatures, texts: TextFeatures, autocast: torch.dtype | None
) -> Callable[[], Tensor]:
    """Forward and backward of the head under InfoNCE; returns the loss."""

    def step() -> Tensor:
        with torch.autocast(images.pooled.device.type, autocast) if autocast else nullcontext():
            matrices = score(images, texts)
        loss = torch.stack([info_nce(matrix) for matrix in matrices]).sum()
        loss.backward()
        return loss.detach()

    return step


def feature_gradients(
    score: Score, images: ImageFeatures, texts: TextFeatures, autocast: torch.dtype | None = None
) -> Tensor:
    """Gradient of a fixed random sum of all scores with respect to all features, one float64 vector.

    A contrastive loss would not do: the common part of its gradient cancels, and what is left shows every ReLU that
    rounding has switched.
    """
    leaves = [images.pooled, images.grid, texts.pooled, texts.words]
    for leaf in leaves:
        leaf.grad = None
    with torch.autocast(images.pooled.device.type, autocast) if autocast else nullcontext():
        matrices = torch.stack(score(images, texts))
    weights = torch.randn(matrices.shape, generator=torch.Generator().manual_seed(1))
    (matrices * weights.to(matrices)).sum().backward()
    return torch.cat([leaf.grad.double().flatten().cpu() for leaf in leaves if leaf.grad is not None])


def check_head(size: Size, device: torch.device) -> dict[str, dict[str, float]]:
    """Relative difference of feature gradients from the published head's in float64, by precision.

    Few images with many texts and the reverse, so that each direction takes either order of multiplication.

    Raises:
        SystemExit: ours is clearly further away than the published head, or float32 is far from float64.
    """
    torch.manual_seed(0)
    head = Head(size.width)

    def gradients(score: Score, place: torch.device, dtype: torch.dtype, cast: torch.dtype | None = None) -> Tensor:
        few_and_many = [features(size, *counts, place, dtype) for counts in ((3, 128), (128, 3))]
        return torch.cat([feature_gradients(score, *pair, cast) for pair in few_and_many])

    literal = LiteralHead(head.fusion.double()).double()
    expected = gradients(literal.pair_logits, torch.device("cpu"), torch.float64)
    head.float().to(device)
    literal = LiteralHead(head.fusion).to(device)
    found = {}
    for name, cast in (("float32", None), ("bfloat16", torch.bfloat16)):
        found[name] = {
            who: float((gradients(score, device, torch.float32, cast) - expected).norm() / expected.norm())
            for who, score in (("ours", head.pair_logits), ("published", literal.pair_logits))
        }
        say(f"gradients of the head in {name}, relative difference from float64: {found[name]}")
        if found[name]["ours"] > MARGIN * found[name]["published"] or found["float32"]["ours"] > TOLERANCE:
            sys.exit(f"FAILED: {name} gradients of our head are too far from float64.")
    return found


def whole_model(size: Size, batch: int, device: torch.device) -> tuple[CARZero, nn.Module, Batch]:
    """CARZero of ``size``, the OFF-CLIP objective, and a batch for them."""
    torch.manual_seed(0)
    published = {"published": True} if size is PUBLISHED_SIZE else {}
    model: Any = base.load("carzero", size.encoders, published, VOCABULARY).to(device)
    texts = [" ".join(VOCABULARY[(i + j) % len(VOCABULARY)] for j in range(3 + i % 9)) for i in range(batch)]
    pixels = torch.rand(batch, 1, size.image, size.image, generator=torch.Generator().manual_seed(1)).to(device)
    is_normal = torch.arange(batch, device=device) % 3 == 0
    return model, build("off_clip", {}).to(device), Batch(pixels, model.tokenize(texts).to(device), is_normal)


def check_chunks(size: Size, device: torch.device) -> float:
    """Relative difference of the whole model's gradient in chunks from that at once, float32, without dropout.

    Raises:
        SystemExit: it is more than rounding.
    """
    model, objective, batch = whole_model(size, 8, device)
    model.eval()
    gradients = []
    for chunk in (None, 3):
        model.zero_grad(set_to_none=True)
        contrastive_backward(model, objective, batch, StepOptions(chunk))
        gradients.append(torch.cat([p.grad.double().flatten().cpu() for p in model.parameters() if p.grad is not None]))
    difference = float((gradients[1] - gradients[0]).norm() / gradients[0].norm())
    say(f"gradient of the whole model in chunks of 3, relative difference from at once: {difference:.1e}")
    if difference > TOLERANCE:
        sys.exit("FAILED: the chunked step has another gradient.")
    return difference


@dataclass(frozen=True)
class Timing:
    """One row of the table."""

    what: str
    batch: int
    milliseconds: float
    peak_bytes: int | None
    """Of the device's allocator; None on a CPU."""
    loss: float


def measure(what: str, batch: int, step: Callable[[], Tensor | float], device: torch.device) -> list[Timing]:
    """Time a step (median of 12 after 3) and its peak memory; nothing where it does not fit."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    try:
        seconds = budget.time_steps(step, device, ALONE)
    except torch.cuda.OutOfMemoryError:
        say(f"{what}, batch {batch}: out of memory")
        return []
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    say(f"{what}, batch {batch}: {1000 * seconds:.1f} ms")
    return [Timing(what, batch, 1000 * seconds, peak, float(step()))]


def head_timings(size: Size, batch: int, device: torch.device, compiled: bool) -> list[Timing]:
    """The literal head and ours; the published precision is float16 autocast, which a CPU has not."""
    torch.manual_seed(0)
    head = Head(size.width).to(device)
    literal = LiteralHead(head.fusion).to(device)
    pair = features(size, batch, batch, device, torch.float32)
    ways: list[tuple[str, Score, torch.dtype | None]] = [
        ("published head, float32", literal.pair_logits, None),
        ("our head, float32", head.pair_logits, None),
        (OUR_HEAD, head.pair_logits, torch.bfloat16),
    ]
    if device.type == "cuda":
        ways.insert(1, (PUBLISHED_HEAD, literal.pair_logits, torch.float16))
    if compiled:
        torch.compiler.reset()  # each batch size is compiled for itself
        ways.append((f"{OUR_HEAD}, compiled", torch.compile(head.pair_logits, dynamic=False), torch.bfloat16))
    return [row for what, score, cast in ways for row in measure(what, batch, head_step(score, *pair, cast), device)]


def model_timings(size: Size, batch: int, device: torch.device) -> list[Timing]:
    """The whole model's step in bfloat16 with the update of its weights, at once and in chunks."""
    model, objective, content = whole_model(size, batch, device)
    model.train()

    def run(chunk: int | None) -> list[Timing]:
        training = TrainingSettings.model_validate({"batch_size": batch, "chunk_size": chunk, "precision": "bfloat16"})
        learner = Learner(model, objective, training, device, ALONE)
        what = f"whole step, bfloat16, {f'chunks of {chunk}' if chunk else 'at once'}"
        return measure(what, batch, lambda: learner.step(content, 1e-5, (0,)), device)

    return [*run(None), *run(size.chunk)]


def verdicts(timings: Sequence[Timing]) -> list[str]:
    """The targets beside what was measured, a sentence each."""
    said = []
    for batch in sorted({row.batch for row in timings}):
        rows = [row for row in timings if row.batch == batch]
        published = [row.milliseconds for row in rows if row.what == PUBLISHED_HEAD]
        ours = [row for row in rows if row.what.startswith(OUR_HEAD)]
        if published and ours:
            best = min(ours, key=lambda row: row.milliseconds)
            ratio = published[0] / best.milliseconds
            reached = "reached" if ratio >= SPEEDUP else "MISSED"
            said.append(
                f"{best.what}, batch {batch}: {ratio:.2f}x the {PUBLISHED_HEAD} (target {SPEEDUP:g}x: {reached})"
            )
    steps = [row for row in timings if row.what.startswith("whole step") and row.batch == LARGEST_BATCH]
    peaks = [(row.peak_bytes, row.what) for row in steps if row.peak_bytes is not None]
    if peaks:
        peak, what = min(peaks)
        reached = "reached" if peak < LARGEST_MEMORY else "MISSED"
        said.append(
            f"CARZero, {what}, batch {LARGEST_BATCH}: {peak / 1e9:.1f} GB at its peak "
            f"(target below {LARGEST_MEMORY / 1e9:g} GB: {reached})"
        )
    return said


def main(argv: Sequence[str] | None = None) -> None:
    """Check, time, print, and write JSON with the hardware's name.

    Raises:
        SystemExit: there is no GPU, or a check fails.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--small", action="store_true", help="a small size on whatever device there is")
    arguments = parser.parse_args(argv)
    on_gpu = torch.cuda.is_available()
    if not (on_gpu or arguments.small):
        sys.exit("There is no GPU here that PyTorch sees, so nothing was measured (--small only tries the script).")
    device = torch.device("cuda" if on_gpu else "cpu")
    size = SMALL_SIZE if arguments.small else PUBLISHED_SIZE
    differences = {"head": check_head(size, device), "chunks": check_chunks(size, device)}
    timings = [
        row for batch in size.batches for row in head_timings(size, batch, device, on_gpu > arguments.no_compile)
    ]
    timings += [row for batch in size.batches for row in model_timings(size, batch, device)]
    table = Table("", "batch", "ms", "peak GB", "loss", title=ledger.hardware(device))
    for row in timings:
        peak = "" if row.peak_bytes is None else f"{row.peak_bytes / 1e9:.2f}"
        table.add_row(row.what, str(row.batch), f"{row.milliseconds:.2f}", peak, f"{row.loss:.4f}")
    console.print(table)
    for sentence in verdicts(timings):
        say(sentence)
    content = {
        "hardware": ledger.hardware(device),
        "gpu": on_gpu,
        "cuda": torch.version.cuda,
        "versions": ledger.versions(),
        "size": asdict(size),
        "relative_gradient_difference": differences,
        "timings": [asdict(row) for row in timings],
        "verdicts": verdicts(timings),
    }
    if arguments.json:
        files.write_json(arguments.json, content)
    else:
        print(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()

"""``python -m benchmark.training.gpu_check``: does the GPU compute what it should, how fast, in how much memory?

One script without data, DVC or MLflow. It checks the shipped head and step against a plain float64 reference,
times them against the published head under float16 autocast, and measures peak memory of the whole published-size
model with and without chunks. Without a GPU it does the same at a toy size and says so: such times mean nothing.
"""

from __future__ import annotations

import argparse
import json
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
from baselines.fusion import PUBLISHED, Fusion
from benchmark import files
from benchmark.progress import console, say
from benchmark.training import budget, ledger
from benchmark.training.distributed import ALONE
from benchmark.training.published import LiteralHead
from benchmark.training.step import Batch, StepOptions, contrastive_backward
from offclip.losses import info_nce
from offclip.objective import build

MARGIN = 2.0
"""Ours may be this many times as far from float64 as the published head in the same precision."""


@dataclass(frozen=True)
class Size:
    """Shapes of the check."""

    width: int
    grid: int
    slots: int
    batches: tuple[int, ...]
    encoders: dict[str, dict[str, Any]]
    picture: int
    chunk: int


PUBLISHED_SIZE = Size(
    768, 14, 97, (64, 128, 256), {"image": {"kind": "vit"}, "text": {"kind": "bert"}}, picture=224, chunk=32
)
TOY_SIZE = Size(
    32, 4, 12, (8, 16),
    {"image": {"kind": "conv", "width": 8, "dim": 32}, "text": {"kind": "words", "dim": 32}}, picture=32, chunk=4,
)  # fmt: skip
VOCABULARY = ["there", "is", "no", "effusion", "left", "right", "lung", "opacity", "heart", "clear", "nodule", "lobe"]


class Head(CARZero):
    """CARZero without its towers; weights start large enough for scores to differ, so that rounding can be judged."""

    def __init__(self, width: int) -> None:
        nn.Module.__init__(self)
        self.fusion = Fusion(width, replace(PUBLISHED, dropout=0.0, small_init=False))


def features(size: Size, batch: int, device: torch.device, dtype: torch.dtype) -> tuple[ImageFeatures, TextFeatures]:
    """Random features of ``batch`` pictures and texts, leaves that collect gradients."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(device, dtype).requires_grad_()

    mask = torch.ones(batch, size.slots, dtype=torch.bool, device=device)
    pictures = ImageFeatures(random(batch, size.width), random(batch, size.grid, size.grid, size.width))
    return pictures, TextFeatures(random(batch, size.width), random(batch, size.slots, size.width), mask)


def head_step(
    score: Callable[..., list[Tensor]], images: ImageFeatures, texts: TextFeatures, autocast: torch.dtype | None
) -> Callable[[], Tensor]:
    """Forward and backward of the head under InfoNCE; returns the loss."""

    def step() -> Tensor:
        with torch.autocast(images.pooled.device.type, autocast) if autocast else nullcontext():
            matrices = score(images, texts)
        loss = torch.stack([info_nce(matrix) for matrix in matrices]).sum()
        loss.backward()
        return loss.detach()

    return step


def feature_gradients(step: Callable[[], Tensor], images: ImageFeatures, texts: TextFeatures) -> Tensor:
    """Gradient of a step with respect to all features, one float64 vector."""
    leaves = [images.pooled, images.grid, texts.pooled, texts.words]
    for leaf in leaves:
        leaf.grad = None
    step()
    return torch.cat([leaf.grad.double().flatten().cpu() for leaf in leaves if leaf.grad is not None])


def check(size: Size, device: torch.device) -> dict[str, dict[str, float]]:
    """Relative difference of feature gradients from the literal head's in float64, by precision.

    Raises:
        SystemExit: ours is clearly further away than the published head, or float32 is far from float64.
    """
    torch.manual_seed(0)
    head, cpu = Head(size.width), torch.device("cpu")
    pair = features(size, 8, cpu, torch.float64)
    expected = feature_gradients(head_step(LiteralHead(head.fusion.double()).double().pair_logits, *pair, None), *pair)
    head.float().to(device)
    literal = LiteralHead(head.fusion).to(device)
    pair = features(size, 8, device, torch.float32)
    found = {}
    for name, cast in (("float32", None), ("bfloat16", torch.bfloat16)):
        gradients = {
            who: feature_gradients(head_step(score, *pair, cast), *pair)
            for who, score in (("ours", head.pair_logits), ("published", literal.pair_logits))
        }
        found[name] = {who: float((g - expected).norm() / expected.norm()) for who, g in gradients.items()}
        say(f"gradients in {name}, difference from float64: {found[name]}")
        if found[name]["ours"] > MARGIN * found[name]["published"] or found["float32"]["ours"] > 1e-3:
            raise SystemExit(f"FAILED: {name} gradients of our head are too far from float64.")
    return found


@dataclass(frozen=True)
class Timing:
    """One row of the table."""

    what: str
    batch: int
    milliseconds: float
    peak_bytes: int | None
    """Of the device's allocator; None on a CPU."""
    loss: float


def measure(what: str, batch: int, step: Callable[[], Tensor], device: torch.device) -> Timing:
    """Time a step (median of 12 after 3) and its peak memory."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    seconds = budget.time_steps(step, device, ALONE)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    return Timing(what, batch, 1000 * seconds, peak, float(step()))


def head_timings(size: Size, batch: int, device: torch.device, compiled: bool) -> list[Timing]:
    """The literal head and ours; the published precision is float16 autocast, which a CPU has not."""
    torch.manual_seed(0)
    head = Head(size.width).to(device)
    literal = LiteralHead(head.fusion).to(device)
    pair = features(size, batch, device, torch.float32)
    ways: list[tuple[str, Callable[..., list[Tensor]], torch.dtype | None]] = [
        ("published head, float32", literal.pair_logits, None),
        ("our head, float32", head.pair_logits, None),
        ("our head, bfloat16", head.pair_logits, torch.bfloat16),
    ]
    if device.type == "cuda":
        ways.insert(1, ("published head, float16 autocast", literal.pair_logits, torch.float16))
    if compiled:
        ways.append(("our head, bfloat16, compiled", torch.compile(head.pair_logits), torch.bfloat16))
    return [measure(what, batch, head_step(score, *pair, cast), device) for what, score, cast in ways]


def model_timings(size: Size, batch: int, device: torch.device) -> list[Timing]:
    """The whole model's step in bfloat16, at once and in chunks."""
    torch.manual_seed(0)
    published = {"published": True} if size is PUBLISHED_SIZE else {}
    model = base.load("carzero", size.encoders, published, VOCABULARY).to(device).train()
    objective = build("off_clip", {}).to(device)
    texts = [" ".join(VOCABULARY[(i + j) % len(VOCABULARY)] for j in range(3 + i % 9)) for i in range(batch)]
    pixels = torch.rand(batch, 1, size.picture, size.picture, generator=torch.Generator().manual_seed(1)).to(device)
    content = Batch(pixels, model.tokenize(texts).to(device), torch.arange(batch, device=device) % 3 == 0)

    def run(chunk: int | None) -> Timing:
        def step() -> Tensor:
            model.zero_grad(set_to_none=True)
            return contrastive_backward(model, objective, content, StepOptions(chunk, torch.bfloat16))

        return measure(f"whole step, bfloat16, {f'chunks of {chunk}' if chunk else 'at once'}", batch, step, device)

    found = []
    for chunk in (None, size.chunk):
        try:
            found.append(run(chunk))
        except torch.cuda.OutOfMemoryError:
            say(f"batch {batch}, {f'chunks of {chunk}' if chunk else 'at once'}: out of memory")
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Check, time, print, and write JSON with the hardware's name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    arguments = parser.parse_args(argv)
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    size = PUBLISHED_SIZE if on_gpu else TOY_SIZE
    if not on_gpu:
        say("There is no GPU here: a toy size on the CPU shows that the script runs; its times say nothing of a GPU.")
    differences = check(size, device)
    timings = [
        row for batch in size.batches for row in head_timings(size, batch, device, on_gpu > arguments.no_compile)
    ]
    timings += [row for batch in size.batches for row in model_timings(size, batch, device)]
    table = Table("", "batch", "ms", "peak MiB", "loss", title=ledger.hardware(device))
    for row in timings:
        peak = "" if row.peak_bytes is None else f"{row.peak_bytes / 2**20:.0f}"
        table.add_row(row.what, str(row.batch), f"{row.milliseconds:.2f}", peak, f"{row.loss:.4f}")
    console.print(table)
    content = {
        "hardware": ledger.hardware(device),
        "gpu": on_gpu,
        "versions": ledger.versions(),
        "relative_gradient_difference": differences,
        "timings": [asdict(row) for row in timings],
    }
    if arguments.json:
        files.write_json(arguments.json, content)
    else:
        print(json.dumps(content, indent=2))


if __name__ == "__main__":
    main()

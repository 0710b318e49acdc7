"""What training relies on: gradients that do not depend on chunks, copies, a loss that falls, and what is saved."""

from __future__ import annotations

import copy
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.tools.contract.subject import EVALUATED_ONLY, IMAGES, TEXTS, Subject, require

if TYPE_CHECKING:
    import torch
    from torch import nn

    from baselines.base import Baseline
    from benchmark.training.step import Batch

STEPS = 12
TRAINABLE_HERE = 20_000_000
"""Parameters above which the training check is left out (it would take minutes on a CPU)."""
CHUNK_TOLERANCE = 1e-3
"""Largest difference of a gradient computed in chunks, relative to the largest gradient."""


def _batch(subject: Subject, model: Baseline) -> Batch:
    """The images and the first texts as a training step gets them: at the side that augmentation leaves."""
    import torch

    from benchmark.training.step import Batch

    tokens = model.tokenize(list(TEXTS[:IMAGES]))
    return Batch(subject.pixels(subject.training_size), tokens, torch.tensor([True, False, False, True]))


def _objective(subject: Subject) -> nn.Module:
    from offclip import objective

    return objective.build(subject.objective, subject.objective_options)


def _gradients(subject: Subject, model: Baseline, chunk: int | None, precision: torch.dtype) -> dict[str, torch.Tensor]:
    """Name -> gradient after one step's backward pass as training runs it; what got none is missing."""
    from benchmark.training.step import StepOptions, contrastive_backward

    model.zero_grad(set_to_none=True)
    options = StepOptions(chunk_size=chunk, precision=precision)
    contrastive_backward(model, _objective(subject), _batch(subject, model), options)
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def gradients(subject: Subject) -> str:
    """The objective reaches every trainable parameter with a finite gradient, in float32 and in bfloat16."""
    import torch

    if (model := subject.model()).evaluate_only:
        return EVALUATED_ONLY
    model.train()
    trainable = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    require(bool(trainable), "no parameter is trainable")
    for precision in (torch.float32, torch.bfloat16):
        found = _gradients(subject, model, None, precision)
        named = str(precision).removeprefix("torch.")
        unreached = [name for name in trainable if name not in found]
        wild = [name for name, gradient in found.items() if not torch.isfinite(gradient).all()]
        require(not unreached, f"no gradient reaches {', '.join(unreached)}; freeze or remove them")
        require(not wild, f"gradients in {named} are not finite in {', '.join(wild)}")
    return f"{len(trainable)} parameter tensors, {sum(p.numel() for p in trainable.values()):,} numbers"


def chunks(subject: Subject) -> str:
    """A batch taken in chunks (``training.chunk_size``, or several processes) has the gradients of the whole one."""
    import torch

    if (model := subject.model()).evaluate_only:
        return EVALUATED_ONLY
    whole, parts = (_gradients(subject, model, chunk, torch.float32) for chunk in (None, 1))
    largest = max(float(gradient.abs().max()) for gradient in whole.values())
    worst, where = max((float((whole[name] - parts[name]).abs().max()) / max(largest, 1e-12), name) for name in whole)
    require(
        worst <= CHUNK_TOLERANCE,
        f"the gradient of {where} differs by {worst:.1e} of the largest when the batch is taken in chunks; "
        "a feature or a pair's logit must depend on its own image and text alone",
    )
    return f"largest difference {worst:.1e} of the largest gradient"


def round_trip(subject: Subject) -> str:
    """What is saved or copied comes back and scores the same to the bit."""
    import torch

    from baselines import base

    model = subject.model()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        base.save(model, path)
        size = path.stat().st_size
        restored = base.restore(path)
    others = {"restored": restored, "copied": copy.deepcopy(model)}  # training tries steps on a copy
    with torch.inference_mode():
        scores = model.similarity(*subject.features(model))
        for how, other in others.items():
            same = torch.equal(scores, other.similarity(*subject.features(other)))
            require(same, f"the {how} model scores differently; is everything it needs in its state or its recipe?")
    return f"{size / 1e6:.1f} MB"


def learning(subject: Subject) -> str:
    """A few steps on one small batch lower the loss."""
    import torch

    from benchmark.training.step import contrastive_backward

    if (model := subject.model()).evaluate_only:
        return EVALUATED_ONLY
    model.train()
    count = sum(parameter.numel() for parameter in model.parameters())
    if count > TRAINABLE_HERE:
        return f"left out: {count / 1e6:.0f} M parameters would take minutes here"
    rule = _objective(subject)
    optimizer = torch.optim.AdamW([*model.parameters(), *rule.parameters()], lr=2e-3)
    batch, losses, started = _batch(subject, model), [], time.perf_counter()
    for step in range(STEPS):
        optimizer.zero_grad()
        losses.append(float(contrastive_backward(model, rule, batch, seed=(0, step))))
        optimizer.step()
    milliseconds = 1000 * (time.perf_counter() - started) / STEPS
    require(
        losses[-1] < losses[0],
        f"after {STEPS} steps on one batch the loss went from {losses[0]:.3g} to {losses[-1]:.3g}",
    )
    return f"loss {losses[0]:.3g} -> {losses[-1]:.3g} in {STEPS} steps of {milliseconds:.0f} ms at batch {IMAGES}"

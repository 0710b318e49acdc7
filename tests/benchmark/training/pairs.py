"""Small models and batches for the step's tests: the shipped baselines at toy size, in float64."""

from __future__ import annotations

import torch

from baselines import base
from benchmark.training.step import Batch

VOCABULARY = ["there", "is", "no", "left", "right", "effusion", "opacity", "clear", "lungs", "nodule", "heart", "large"]
ENCODERS = {
    "image": {"kind": "conv", "width": 8, "dim": 16},
    "text": {"kind": "words", "dim": 16, "layers": 1, "max_tokens": 8},
}


def model(name: str, seed: int = 0, **options: object) -> base.Baseline:
    """A baseline in float64 and training mode."""
    torch.manual_seed(seed)
    return base.load(name, ENCODERS, options, VOCABULARY).double().train()


def texts(count: int) -> list[str]:
    """Distinct captions of one to eight words."""
    return [
        " ".join(VOCABULARY[(i * 5 + j * (1 + i % 3)) % len(VOCABULARY)] for j in range(1 + i % 8))
        for i in range(count)
    ]


def batch(scorer: base.Baseline, pairs: int, rows: slice = slice(None), seed: int = 1) -> Batch:
    """The rows of a fixed batch of ``pairs``; two of three are abnormal."""
    pixels = torch.rand(pairs, 1, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    is_normal = torch.arange(pairs) % 3 == 0
    return Batch(pixels[rows], scorer.tokenize(texts(pairs))[rows], is_normal)


def gradients(*modules: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Gradient of every parameter that has one."""
    return {
        f"{place}.{name}": parameter.grad.clone()
        for place, module in enumerate(modules)
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }


def relative_difference(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    """Norm of the difference of two sets of gradients over the norm of the first."""
    assert a.keys() == b.keys()
    difference = sum(float((a[name] - b[name]).square().sum()) for name in a)
    return (difference / sum(float(value.square().sum()) for value in a.values())) ** 0.5

"""The compared systems' image tower with one linear output per target, trained by binary cross-entropy.

Two stages use it: ``pretrain`` (targets = the words of the report, where the systems start) and ``probe`` (targets =
the training set's labels, the supervised reference of every table). No evaluation set trains it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from baselines.base import ImageFeatures
from baselines.config import encoder_options
from baselines.towers import image_tower
from baselines.towers.conv import ConvTower
from benchmark.common.errors import UserError
from benchmark.common.progress import with_progress
from benchmark.compute import augment, determinism, schedule
from benchmark.pipeline.settings import SupervisionSettings, TrainingSettings

BATCH_SIZE = 64
FIRST = 512
"""Images on which a tower that starts from scratch is standardised."""


@dataclass(frozen=True, eq=False)
class Targets:
    """Training labels: ``values`` float32 [n, labels] of 0 and 1; ``known`` bool, False where nothing is learnt."""

    values: Tensor
    known: Tensor

    def prevalence(self) -> Tensor:
        """Share of 1 among the known, float32 [labels]."""
        return (self.values * self.known).sum(0) / self.known.sum(0).clamp(min=1)


class Supervised(nn.Module):
    """Image tower and one linear output per label."""

    def __init__(self, encoders: Mapping[str, Mapping[str, Any]], targets: Targets) -> None:
        super().__init__()
        self.tower = image_tower(encoder_options(encoders).image)
        self.head = nn.Linear(self.tower.dim, targets.values.shape[1])
        with torch.no_grad():  # start from the prevalences, so that rare targets cost no steps
            self.head.weight.zero_()
            self.head.bias.copy_(torch.logit(targets.prevalence(), eps=1e-4))

    def forward(self, pixels: Tensor) -> tuple[Tensor, ImageFeatures]:
        """[B, 1, S, S] in [0, 1] to logits [B, labels] and the features below them."""
        features = self.tower(pixels)
        return self.head(features.pooled), features


def loss(logits: Tensor, values: Tensor, known: Tensor) -> Tensor:
    """Mean binary cross-entropy over the known labels of a batch; 0 where none is known."""
    each = binary_cross_entropy_with_logits(logits, values, reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


def steps(supervision: SupervisionSettings) -> int:
    """Steps that see ``samples`` images, at least one."""
    return max(1, supervision.samples // BATCH_SIZE)


def train(
    images: NDArray[np.uint8],
    targets: Targets,
    encoders: Mapping[str, Mapping[str, Any]],
    supervision: SupervisionSettings,
    seed: int,
    training: TrainingSettings,
    device: torch.device,
    what: str,
) -> Supervised:
    """Train until ``supervision.samples`` images were seen.

    Optimiser, schedule and augmentation are those of the compared systems (``training``), at the learning rate of
    ``supervision``.

    Args:
        images: uint8 (n, S, S).
        targets: of the same n images.
        encoders: options of the towers; only ``image`` is built.
        supervision: samples and learning rate.
        seed: of the weights, the shuffle and the augmentation.
        training: the compared systems' loop, settled for the device.
        device: where to train.
        what: what the progress line says.

    Raises:
        UserError: the loss is no longer finite.
    """
    torch.manual_seed(determinism.stream(seed, determinism.INITIAL))
    model = Supervised(encoders, targets).to(device).train()
    if isinstance(model.tower, ConvTower) and encoders["image"].get("init") is None:
        first = np.random.default_rng((seed, determinism.INITIAL)).permutation(len(images))[:FIRST]
        model.tower.standardise(augment.to_unit(torch.from_numpy(images[np.sort(first)]).to(device)))
    rate = training.model_copy(update={"learning_rate": supervision.learning_rate})
    optimizer = torch.optim.AdamW(
        model.parameters(), betas=training.betas, weight_decay=training.weight_decay, fused=True
    )
    total = steps(supervision)
    order = _shuffled(len(images), seed)
    precision = getattr(torch, training.precision)
    for step in with_progress(range(total), what):
        chosen = np.array([next(order) for _ in range(BATCH_SIZE)])
        pixels = augment.to_unit(torch.from_numpy(images[chosen]).to(device))
        draws = augment.draw(len(chosen), determinism.generator(seed, determinism.AUGMENT, step)).to(device)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            logits, _ = model(augment.augment(pixels, training.augment, draws))
        value = loss(logits.float(), targets.values[chosen].to(device), targets.known[chosen].to(device))
        if not torch.isfinite(value):
            raise UserError(
                f"{what}: the loss is {value.item()} at step {step}; lower its learning_rate in params.yaml."
            )
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate(rate, step / total)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        if training.clip_norm:
            nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
        optimizer.step()
    return model.eval()


def _shuffled(count: int, seed: int) -> Iterator[int]:
    """Endless passes over ``range(count)``, each in another order that depends on seed and pass alone."""
    epoch = 0
    while True:
        yield from np.random.default_rng((seed, determinism.SHUFFLE, epoch)).permutation(count)
        epoch += 1

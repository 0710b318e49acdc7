"""The compared systems' image tower with a supervised head, trained from scratch on the training set's labels.

What this network cannot tell, no text supervision of the same tower under a similar budget should be expected to
tell; so its AUC is the ceiling row of every table. It never sees a report, and no evaluation set trains it.
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
from benchmark.errors import UserError
from benchmark.evaluation.cohort import Cohort
from benchmark.progress import track
from benchmark.settings import ProbeSettings, TrainingSettings
from benchmark.training import augment, determinism, schedule

BATCH_SIZE = 64


class Supervised(nn.Module):
    """Image tower and one linear output per label."""

    def __init__(self, encoders: Mapping[str, Mapping[str, Any]], labels: int) -> None:
        super().__init__()
        self.tower = image_tower(encoder_options(encoders).image)
        self.head = nn.Linear(self.tower.dim, labels)

    def forward(self, pixels: Tensor) -> tuple[Tensor, ImageFeatures]:
        """[B, 1, S, S] in [0, 1] to logits [B, labels] and the features below them."""
        features = self.tower(pixels)
        return self.head(features.pooled), features


@dataclass(frozen=True, eq=False)
class Targets:
    """Training labels: ``values`` float32 [n, labels] of 0 and 1; ``known`` bool, False where nothing is learnt."""

    values: Tensor
    known: Tensor

    @classmethod
    def of(cls, cohort: Cohort) -> Targets:
        """Findings, then ``normal``. Uncertain labels are masked, findings that a report does not mention are absent.

        A report names what is there; a label of its own accord ("0") is given almost only where a reader was asked.
        Masking the blanks would leave most findings without a single negative, so they count as negative, as in
        the CheXpert baseline (Irvin et al., AAAI 2019). An unknown ``normal`` is masked.
        """
        columns = []
        for finding in cohort.findings:
            values = cohort.labels(finding)
            columns.append(np.where(np.isnan(values), np.float32(0), values))
        normal = cohort.labels("normal")
        columns.append(np.where(np.isnan(normal), np.float32(-1), normal))
        table = torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))
        return cls(table.clamp(min=0), table >= 0)


def loss(logits: Tensor, values: Tensor, known: Tensor) -> Tensor:
    """Mean binary cross-entropy over the known labels of a batch; 0 where none is known."""
    each = binary_cross_entropy_with_logits(logits, values, reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


def train(
    cohort: Cohort,
    encoders: Mapping[str, Mapping[str, Any]],
    probe: ProbeSettings,
    training: TrainingSettings,
    device: torch.device,
) -> Supervised:
    """Train on every picture of ``cohort`` until ``probe.samples`` were seen.

    Optimiser, schedule and augmentation are those of the compared systems (``training``), at ``probe.learning_rate``.

    Raises:
        UserError: the loss is no longer finite.
    """
    targets = Targets.of(cohort)
    pictures = np.asarray(cohort.pictures[cohort.rows])
    torch.manual_seed(determinism.stream(probe.seed, determinism.INITIAL))
    model = Supervised(encoders, targets.values.shape[1]).to(device).train()
    rate = training.model_copy(update={"learning_rate": probe.learning_rate})
    optimizer = torch.optim.AdamW(model.parameters(), betas=training.betas, weight_decay=training.weight_decay)
    steps = max(1, probe.samples // BATCH_SIZE)
    order = _shuffled(len(pictures), probe.seed)
    for step in track(range(steps), "training the supervised probe"):
        chosen = np.array([next(order) for _ in range(BATCH_SIZE)])
        pixels = augment.to_unit(torch.from_numpy(pictures[chosen]).to(device))
        draws = augment.draw(len(chosen), determinism.generator(probe.seed, determinism.AUGMENT, step)).to(device)
        logits, _ = model(augment.augment(pixels, training.augment, draws))
        value = loss(logits, targets.values[chosen].to(device), targets.known[chosen].to(device))
        if not torch.isfinite(value):
            raise UserError(f"The probe's loss is {value.item()} at step {step}; lower probe.learning_rate.")
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate(rate, step / steps)
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


@torch.inference_mode()
def predict(
    model: Supervised, cohort: Cohort, batch_size: int, device: torch.device
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (n, labels), and frozen features (n, 3 D): the pooled picture, mean and maximum over its cells."""
    logits, features = [], []
    for start in range(0, len(cohort.rows), batch_size):
        rows = cohort.rows[start : start + batch_size]
        pixels = augment.to_unit(torch.from_numpy(np.ascontiguousarray(cohort.pictures[rows])).to(device))
        output, images = model(pixels)
        cells = images.grid.flatten(1, 2)  # (B, h*w, D)
        logits.append(output.float().cpu().numpy())
        features.append(torch.cat([images.pooled, cells.mean(1), cells.amax(1)], dim=1).float().cpu().numpy())
    return np.concatenate(logits), np.concatenate(features)

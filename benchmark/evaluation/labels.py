"""The probe's labels and answers: index columns to targets, and a trained network to logits and features."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.artifacts.cohort import Cohort
from benchmark.compute import augment
from benchmark.compute.supervised import Supervised, Targets


def targets_of(cohort: Cohort) -> Targets:
    """Findings, then ``normal``. Uncertain labels are masked, findings that a report does not mention are absent.

    A report names what is there; a label of its own accord ("0") is given almost only where a reader was asked.
    Masking the blanks would leave most findings without a single negative, so they count as negative, as in
    the CheXpert baseline (Irvin et al., AAAI 2019). An unknown ``normal`` is masked.
    """
    findings = np.nan_to_num(cohort.labels(cohort.findings), nan=0)
    normal = np.nan_to_num(cohort.normal, nan=-1)
    table = torch.from_numpy(np.column_stack([findings, normal]).astype(np.float32))
    return Targets(table.clamp(min=0), table >= 0)


@torch.inference_mode()
def predict(
    model: Supervised, cohort: Cohort, batch_size: int, device: torch.device
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (n, labels), and frozen features (n, 3 D): the pooled image, mean and maximum over its cells."""
    logits, features = [], []
    for start in range(0, len(cohort.rows), batch_size):
        rows = cohort.rows[start : start + batch_size]
        pixels = augment.to_unit(torch.from_numpy(np.ascontiguousarray(cohort.images[rows])).to(device))
        output, encoded = model(pixels)
        cells = encoded.grid.flatten(1, 2)  # (B, h*w, D)
        logits.append(output.float().cpu().numpy())
        features.append(torch.cat([encoded.pooled, cells.mean(1), cells.amax(1)], dim=1).float().cpu().numpy())
    return np.concatenate(logits), np.concatenate(features)

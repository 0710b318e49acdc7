"""``python -m benchmark pretrain --seed N``: where the image towers of a training seed start.

CARZero and OFF-CLIP start from a tower pretrained on images and reports (masked record modelling, Zhou et al.,
ICLR 2023, arXiv 2301.13155, which restores the report). The embedded default does the same at its own scale: the tower
predicts which words the study's report uses (Joulin et al., ECCV 2016, arXiv 1511.02251). All systems of a seed start
from the same file, so it belongs to no one's budget; what it cost stands beside the budget in every run's ledger. With
another ``encoders.image.init`` than ``data/pretrained`` the stage has nothing to do.
"""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.artifacts import cohort as cohorts
from benchmark.artifacts.cohort import Cohort
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.compute import device as computing
from benchmark.compute import supervised
from benchmark.pipeline import layout, pretrained, settings
from benchmark.training.budget import count_flops, hollow

WORD = re.compile(r"[a-z]+")
MOST = 0.9
"""Words in a greater share of the reports say nothing of an image."""


def word_targets(reports: list[str], min_count: int) -> supervised.Targets:
    """Which words each report uses.

    Args:
        reports: n texts.
        min_count: a target word occurs in at least this many of them (and in at most ``MOST``).

    Returns:
        float32 [n, words], words in alphabetical order, all known.

    Raises:
        UserError: no word is frequent enough.
    """
    used = [set(WORD.findall(report.lower())) for report in reports]
    counts = Counter(word for words in used for word in words)
    chosen = sorted(word for word, count in counts.items() if min_count <= count <= MOST * len(reports))
    if not chosen:
        raise UserError(
            f"No word occurs in {min_count} of the {len(reports)} training reports; lower `pretraining.min_count`."
        )
    column = {word: place for place, word in enumerate(chosen)}
    values = torch.zeros(len(reports), len(chosen))
    for row, words in enumerate(used):
        values[row, [column[word] for word in words if word in column]] = 1
    return supervised.Targets(values, torch.ones_like(values, dtype=torch.bool))


def images_and_reports(cohort: Cohort) -> tuple[NDArray[np.uint8], list[str]]:
    """Cached images and reports of the training split, ``cohort``; images without a report are left out."""
    said = cohort.index["report"].str.strip().ne("").to_numpy()
    return cohort.images[cohort.rows[said]], cohort.index.loc[said, "report"].tolist()


def step_flops(model: supervised.Supervised, side: int) -> float:
    """Floating-point operations of one step of supervised training, forward and backward, on images of ``side`` px."""
    with hollow(model):
        pixels = torch.empty(supervised.BATCH_SIZE, 1, side, side, device=next(model.parameters()).device)
        return count_flops(lambda: model(pixels)[0].sum().backward())


def run(seed: int) -> None:
    """Train the tower and write data/pretrained/<seed>/ (docs/files.md).

    Args:
        seed: of the weights, the shuffle and the augmentation; that of the trainings that start there.

    Raises:
        UserError: the cohort is missing, no word is frequent enough, or the loss is not finite.
    """
    from safetensors.torch import save_file

    chosen = settings.load()
    image = dict(chosen.encoders["image"])
    used = pretrained.is_made_here(image.get("init"))
    summary: dict[str, bool | float | str] = {"used": used}
    with files.replacing(layout.pretrained(seed)) as folder:
        folder.mkdir(parents=True)
        if used:
            device, training = computing.setup(chosen.training)
            images, reports = images_and_reports(cohorts.read(layout.TRAINING_DATASET, "train"))
            targets = word_targets(reports, chosen.pretraining.min_count)
            model = supervised.train(
                images,
                targets,
                {**chosen.encoders, "image": {**image, "init": None}},
                chosen.pretraining,
                seed,
                training,
                device,
                f"pretraining the image tower of seed {seed} on {targets.values.shape[1]} report words",
            )
            weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.tower.state_dict().items()}
            save_file(weights, folder / pretrained.WEIGHTS)
            summary["method"] = "words of the report"
            summary["words"] = targets.values.shape[1]
            summary["samples"] = chosen.pretraining.samples
            summary["seed"] = seed
            summary["flops"] = supervised.steps(chosen.pretraining) * step_flops(model, images.shape[-1])
        files.write_json(folder / pretrained.ACCOUNT, summary)

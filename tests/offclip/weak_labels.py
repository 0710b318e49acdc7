"""Studies whose sentences are drawn from known ones: an abnormal study has one or two abnormal among normal ones."""

from __future__ import annotations

import numpy as np

NORMAL = [
    "The lungs are clear",
    "Heart size is normal",
    "No pneumothorax or pleural effusion",
    "The trachea is midline",
    "Osseous structures are intact",
    "PA and lateral views were obtained",
    "No acute disease",
]
# The last two words stand in no vocabulary: only the study labels can tell that they are abnormal.
ABNORMAL = ["Mild cardiomegaly", "Left pleural effusion", "Right upper lobe nodule", "Epicardial fat", "Nipple shadows"]


def weakly_labelled(studies: int = 300, seed: int = 0) -> tuple[list[list[str]], list[bool]]:
    """The sentences of each study (three to five), and whether it is normal."""
    random = np.random.default_rng(seed)
    reports, labels = [], []
    for number in range(studies):
        is_normal = number % 2 == 0
        report = random.choice(NORMAL, random.integers(3, 6), replace=False).tolist()
        if not is_normal:
            report[: random.integers(1, 3)] = random.choice(ABNORMAL, 1).tolist()
        reports.append(report)
        labels.append(is_normal)
    return reports, labels

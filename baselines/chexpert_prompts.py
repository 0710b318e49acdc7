"""The sentences that GLoRIA and MedCLIP were published with, for the five competition findings of CheXpert.

A sentence is a severity, a subtype and a location joined by blanks (for pleural effusion the location comes second);
an empty part leaves its blank. The wordings, misspellings included, are GLoRIA's (github.com/marshuang80/gloria,
``CHEXPERT_CLASS_PROMPTS``, Apache-2.0); MedCLIP took them over. Neither has sentences for a normal image.
"""

from __future__ import annotations

import random
from itertools import product

_LOBES = ("at the left lower lobe", "at the right lower lobe")
_BASES = ("at the right lung base", "at the left lung base")
PARTS: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "atelectasis": (
        ("", "mild", "minimal"),
        tuple(
            f"{kind} atelectasis"
            for kind in ("subsegmental", "linear", "trace", "bibasilar", "retrocardiac", "bandlike", "residual")
        ),
        (
            *(f"at the {zone} lung zone" for zone in ("mid", "upper", "right", "left")),
            "at the lung bases",
            *_BASES,
            "at the bilateral lung bases",
            *_LOBES,
        ),
    ),
    "cardiomegaly": (
        ("",),
        (
            "cardiac silhouette size is upper limits of normal",
            "cardiomegaly which is unchanged",
            "mildly prominent cardiac silhouette",
            "portable view of the chest demonstrates stable cardiomegaly",
            "portable view of the chest demonstrates mild cardiomegaly",
            "persistent severe cardiomegaly",
            "heart size is borderline enlarged",
            "cardiomegaly unchanged",
            "heart size is at the upper limits of normal",
            "redemonstration of cardiomegaly",
            "ap erect chest radiograph demonstrates the heart size is the upper limits of normal",
            "cardiac silhouette size is mildly enlarged",
            "mildly enlarged cardiac silhouette, likely left ventricular enlargement. "
            "other chambers are less prominent",
            "heart size remains at mildly enlarged",
            "persistent cardiomegaly with prominent upper lobe vessels",
        ),
        ("",),
    ),
    "consolidation": (
        ("", "increased", "improved", "apperance of"),
        tuple(
            f"{kind} consolidation"
            for kind in ("bilateral", "reticular", "retrocardiac", "patchy", "airspace", "partial")
        ),
        (
            "at the lower lung zone",
            "at the upper lung zone",
            *_LOBES,
            "at the left upper lobe",
            "at the right uppper lobe",
            *_BASES,
        ),
    ),
    "edema": (
        ("", "mild", "improvement in", "presistent", "moderate", "decreased"),
        ("pulmonary edema", "trace interstitial edema", "pulmonary interstitial edema"),
        ("",),
    ),
    "pleural effusion": (
        ("", "small", "stable", "large", "decreased", "increased"),
        ("left", "right", "tiny"),
        ("bilateral pleural effusion", "subpulmonic pleural effusion", "bilateral pleural effusion"),
    ),
}


def combinations() -> dict[str, tuple[str, ...]]:
    """Finding -> every sentence in the published order (210, 15, 192, 18 and 54, some of the last twice)."""
    return {finding: tuple(" ".join(words) for words in product(*parts)) for finding, parts in PARTS.items()}


def drawn(count: int, seed: int) -> dict[str, tuple[str, ...]]:
    """``count`` sentences for each finding, drawn as GLoRIA draws them: one generator, findings in their order."""
    generator = random.Random(seed)
    return {finding: tuple(generator.sample(sentences, count)) for finding, sentences in combinations().items()}

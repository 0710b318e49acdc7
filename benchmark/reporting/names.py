"""The words that reports print for the keys of files."""

from __future__ import annotations

import re

from benchmark.artifacts.columns import CELL, OVERALL, PUBLISHED

REFERENCE = "Supervised reference"
DATASETS = {
    "mimic_cxr": "MIMIC-CXR",
    "vindr_cxr": "VinDr-CXR",
    "open_i": "Open-I",
    "chexpert": "CheXpert",
    "padchest": "PadChest",
    OVERALL: "All four",
}
QUANTITIES = {
    "normal_auc": "Normal AUC",
    "abnormal_auc": "Abnormal AUC",
    "abnormal_auc_visible": "Abnormal AUC, visible findings",
    "abnormal_auc_among_abnormals": "Abnormal AUC among abnormals",
    "abnormal_auc_against_normals": "Abnormal AUC against normals",
    "pointing": "Pointing game",
    "cnr": "Contrast-to-noise ratio",
    "miou": "Mean IoU",
    "false_positive_rate": "False-positive rate",
    "false_negative_rate": "False-negative rate",
    "average_precision": "Average precision",
    "brier": "Brier score",
    "brier_base_rate": "Brier, base rate",
    "ece": "ECE as it is",
    "ece_prior_corrected": "ECE, prior corrected",
}
SCORES = {
    "prompt": "normal prompt",
    "one_minus_max": "1 − max over findings",
    "contrast": "normal − abnormal prompt",
    "worst_wording": "normal prompt, worst wording",
    "best_wording": "normal prompt, best wording",
}
RULES = {
    "youden": "Youden's index",
    "specificity_95": "95 % specificity",
    "sensitivity_95": "95 % sensitivity",
}
STARTS = {"pretrained": "pretrained start", "scratch": "from scratch"}
SUBGROUPS = {"view": "View", "sex": "Sex", "age": "Age"}
GEOMETRY = {
    "cosine_normal_normal": "Cosine of two normal images",
    "cosine_normal_abnormal": "Cosine of a normal and an abnormal image",
    "cosine_abnormal_abnormal": "Cosine of two abnormal images",
    "silhouette_normal": "Silhouette of the normal images",
    "logit_normal_normal": "Logit of a normal image and another normal caption",
    "logit_normal_abnormal": "Logit of a normal image and an abnormal caption",
    "logit_abnormal_normal": "Logit of an abnormal image and a normal caption",
    "logit_abnormal_abnormal": "Logit of an abnormal image and another abnormal caption",
    "logit_diagonal": "Logit of an image and its own caption",
}
HEATMAPS = {PUBLISHED: "published", CELL: "cell alone"}
PARTS = {
    "info_nce": "InfoNCE",
    "info_nce_off_diagonal": "InfoNCE + off-diagonal term",
    "off_diagonal": "off-diagonal term alone",
    "off_clip": "OFF-CLIP",
    "siglip": "SigLIP",
    "clip": "CLIP",
    "carzero": "CARZero",
    "gloria": "GLoRIA",
    "convirt": "ConVIRT",
    "open_clip": "OpenCLIP",
    "published": "released model",
}
"""Objectives and models that the repository ships; the name of any other is shown as words."""
TRUTHS = {"box": "boxes", "mask": "masks", "zone": "lung zones", "none": "none", "mixed": "mixed"}


def dataset(key: str) -> str:
    """``vindr_cxr`` -> ``VinDr-CXR``."""
    return DATASETS.get(key, key)


def quantity(key: str) -> str:
    """``normal_auc`` -> ``Normal AUC``."""
    return QUANTITIES.get(key, key.replace("_", " "))


def score(key: str) -> str:
    """A normality score; a wording's key is shown as its words."""
    base, colon, wording = key.partition(":")
    known = SCORES.get(base, base.replace("_", " "))
    return f"{known}, {wording.replace('_', ' ')}" if colon else known


def rule(key: str) -> str:
    """How a threshold was fitted; "" where there is none."""
    return RULES.get(key, "")


def readable(parts: str) -> str:
    """``objective: info_nce → off_clip (model carzero)`` -> ``objective: InfoNCE → OFF-CLIP (model CARZero)``.

    Args:
        parts: what `pipeline.effects` writes of a system or an effect; words within a path are left alone.
    """
    return re.sub(r"(?<![\w./-])\w+(?![\w./-])", lambda word: PARTS.get(word[0], word[0].replace("_", " ")), parts)


def join(parts: list[str]) -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""

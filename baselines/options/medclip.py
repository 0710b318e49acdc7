"""Options of the released MedCLIP (baselines/medclip.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baselines.options import ModelOptions


@dataclass(frozen=True)
class Options(ModelOptions):
    """Where the released file lies, and which of the published quirks are kept."""

    checkpoint: str
    """``pytorch_model.bin`` of the unpacked ``medclip-vit`` or ``medclip-resnet``."""
    tokenizer: str = "emilyalsentzer/Bio_ClinicalBERT"
    """``vocab.txt``, a folder with one, or the hub's name of the text encoder that was trained."""
    vision: Literal["vit", "resnet"] | None = None
    """``vit`` (Swin-Tiny) or ``resnet``; None = whichever the file holds."""
    prompts: Literal["common", "own"] = "common"
    """``own``: five findings of CheXpert and pneumonia are asked for by all published sentences."""
    ensemble: bool = True
    """Of the published sentences' scores: the mean (the published evaluation), or else the largest."""
    padding: Literal["alone", "together"] = "alone"
    """``alone``: a text's embedding is the mean over its own tokens, as where it is encoded by itself. ``together``
    (published): padding up to the longest text beside it enters the mean."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """How a larger cache is made 224 pixels: ``bilinear`` (published evaluation) or ``bicubic`` (published demo)."""

"""Options of the released GLoRIA (baselines/gloria_released.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baselines.options import ModelOptions


@dataclass(frozen=True)
class Options(ModelOptions):
    """Where the released file lies, and which of the published quirks are kept."""

    checkpoint: str
    """``chexpert_resnet50.ckpt``."""
    tokenizer: str = "emilyalsentzer/Bio_ClinicalBERT"
    """``vocab.txt``, a folder with one, or the hub's name of the text encoder that was trained."""
    prompts: Literal["common", "own"] = "common"
    """``own``: the five findings of CheXpert are asked for by five published sentences each, the best one counts."""
    local_words: Literal["characters", "words"] = "characters"
    """Slots that take part in the local score. ``characters``: as many as the prompt has characters (published: its
    end and empty slots take part). ``words``: its words."""
    standardise: bool = False
    """Published: each score is standardised over the test set's images, and so depends on them."""
    batch_statistics: bool = False
    """Published: BatchNorm uses the statistics of the batch at hand, and so an image's score depends on the others."""

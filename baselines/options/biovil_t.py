"""Options of the released BioViL-T and BioViL (baselines/biovil_t.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baselines.options import ModelOptions
from offclip.options import Size


@dataclass(frozen=True)
class Options(ModelOptions):
    """Where the released files lie, and which of the published variants is scored."""

    checkpoint: str
    """``biovil_t_image_model_proj_size_128.pt`` or ``biovil_image_resnet50_proj_size_128.pt``."""
    text_model: str
    """Folder of the text model's snapshot: microsoft/BiomedVLP-BioViL-T for the former,
    microsoft/BiomedVLP-CXR-BERT-specialized for the latter; which one it is cannot be seen from its tensors."""
    tokenizer: str | None = None
    """``vocab.txt`` or a folder with one; None = that in ``text_model``."""
    vision: Literal["biovil_t", "biovil"] | None = None
    """``biovil_t`` or ``biovil``; None = whichever the file holds."""
    prompts: Literal["common", "own"] = "common"
    """``own``: a finding is asked for by the mean of the four sentences that were published for pneumonia."""
    contrast: bool = False
    """Published beside ``prompts: own``: the score of four sentences that deny the finding is taken away, so that what
    is above 0 is present."""
    crop: Size | None = None
    """Side of the input, pixels; None = 448 (BioViL-T) or 480 (BioViL), as both are built. The published zero-shot
    example looks at all 512."""

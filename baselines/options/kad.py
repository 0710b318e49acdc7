"""Options of the released KAD (baselines/kad.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from baselines.options import ModelOptions
from offclip.options import Size


@dataclass(frozen=True)
class Options(ModelOptions):
    """Where the released file lies, and which of the published quirks are kept."""

    checkpoint: str
    """``best_valid.pt`` of KAD-512, KAD-1024 or KAD-224."""
    tokenizer: str = "xmcmic/Med-KEBERT"
    """``vocab.txt``, a folder with one, or the hub's name of the text encoder that was trained."""
    prompts: Literal["common", "own"] = "common"
    """``own``: a finding is asked for by its bare name in lower case, as published."""
    size: Size | None = None
    """Side of the input, pixels: 224, 512 or 1024. The files of 512 and 1024 do not differ in structure; None = 224
    where the file is that one's, or else 512."""
    queries: Literal["alone", "together"] = "alone"
    """``alone``: a finding's score is what it is asked by itself. ``together`` (published): all sentences of a run
    attend to each other, and so each one's score depends on which others are asked."""

"""Options of the released checkpoints (baselines/published.py)."""

from __future__ import annotations

from dataclasses import dataclass

from baselines.options import ModelOptions


@dataclass(frozen=True)
class Options(ModelOptions):
    """Where the released files lie."""

    checkpoint: str
    """``CARZero_best_model.ckpt``, ``offclip_best_model.ckpt`` or another of that structure."""
    tokenizer: str = "Laihaoran/BioClinicalMPBERT"
    """``vocab.txt``, a folder with one, or the hub's name of the text encoder that the release trained."""

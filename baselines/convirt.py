"""ConVIRT: cosine of two pooled embeddings behind non-linear heads, fixed temperature (arXiv 2010.00747).

The release weighs image-to-text by 0.75 in its loss; here every model learns the same objective, so the two
directions count alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from baselines.clip import CLIP, CLIPOptions
from baselines.config import parse


@dataclass(frozen=True)
class ConVIRTOptions:
    """ConVIRT's own options; the defaults are the published ones but for the width (512 there)."""

    projection: int = 64
    temperature: float = 0.1


def build(encoders: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any], vocabulary: list[str] | None) -> CLIP:
    """``options``: those of ``ConVIRTOptions``."""
    own = parse(ConVIRTOptions, options, "model_options")
    return CLIP(encoders, CLIPOptions(own.projection, own.temperature, False), vocabulary, hidden=True)

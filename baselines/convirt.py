"""ConVIRT: cosine of two pooled embeddings behind non-linear heads, fixed temperature (arXiv 2010.00747).

The release weighs image-to-text by 0.75 in its loss; here every model learns the same objective, so the two
directions count alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from baselines.clip import CLIP
from baselines.config import parse
from baselines.options import clip, convirt


def build(encoders: Mapping[str, Mapping[str, Any]], options: Mapping[str, Any], vocabulary: list[str] | None) -> CLIP:
    """``options``: those of ``Options``."""
    own = parse(convirt.Options, options, "model_options")
    return CLIP(encoders, clip.Options(own.projection, own.temperature, False), vocabulary, hidden=True)

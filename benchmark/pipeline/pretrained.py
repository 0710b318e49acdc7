"""Where the image tower of a run starts: every training seed has a pretrained tower of its own.

One start for all seeds would hide from every interval what another one changes, and that is more than what the order
of the pairs and the fresh layers do (docs/statistics.md). Systems of the same seed share a start, so their difference
is paired. ``encoders.image.init: data/pretrained`` means these towers; a file there is one start for every seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.pipeline import layout

WEIGHTS = "image.safetensors"
ACCOUNT = "pretraining.json"
"""What stage ``pretrain`` leaves in ``data/pretrained/<seed>/`` (docs/files.md)."""


def is_made_here(init: object) -> bool:
    """Whether ``encoders.image.init`` means the towers that stage ``pretrain`` makes."""
    return isinstance(init, str) and Path(init) == layout.PRETRAINED


def of_seed(encoders: Mapping[str, Mapping[str, Any]], seed: int) -> dict[str, dict[str, Any]]:
    """``encoders`` with the file of weights that a training seed starts from in place of ``data/pretrained``."""
    mine = str(layout.pretrained(seed) / WEIGHTS)
    return {
        part: {**options, "init": mine} if is_made_here(options.get("init")) else dict(options)
        for part, options in encoders.items()
    }

"""Which Open-I reports train and which evaluate: by a hash of the normalised text.

Hashing the text, not the number, keeps reports that say the same thing on one side, however often
they occur; a report without text belongs to neither side.
"""

from __future__ import annotations

import hashlib
from typing import Literal

Side = Literal["training", "evaluation"]
TRAINING_SHARE = 0.6


def normalised(text: str) -> str:
    """Lower-case ``text`` with every run of whitespace folded to one blank."""
    return " ".join(text.lower().split())


def fraction(text: str) -> float:
    """A number in [0, 1) that depends on the normalised text alone (SHA-256)."""
    digest = hashlib.sha256(normalised(text).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def side(text: str) -> Side | None:
    """The side of the partition that a report belongs to; None when it is empty."""
    if not normalised(text):
        return None
    return "training" if fraction(text) < TRAINING_SHARE else "evaluation"

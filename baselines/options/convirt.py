"""Options of ConVIRT (baselines/convirt.py)."""

from __future__ import annotations

from dataclasses import dataclass

from baselines.options import ModelOptions
from offclip.options import Positive, Size


@dataclass(frozen=True)
class Options(ModelOptions):
    """ConVIRT's own options; the defaults are the published ones but for the width (512 there)."""

    projection: Size = 64
    temperature: Positive = 0.1

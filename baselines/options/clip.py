"""Options of CLIP (baselines/clip.py)."""

from __future__ import annotations

from dataclasses import dataclass

from baselines.config import EncoderOptions
from baselines.options import ModelOptions, one_width
from offclip.options import Positive, Size


@dataclass(frozen=True)
class Options(ModelOptions):
    """CLIP's own options."""

    projection: Size | None = None
    """Width of the linear projections behind the towers; None = none, the towers must then have one width."""
    temperature: Positive = 0.07
    """Start of the temperature."""
    learn_temperature: bool = True

    def fits(self, towers: EncoderOptions) -> None:
        """See ``ModelOptions``."""
        one_width(towers.image.dim, towers.text.dim, self.projection)

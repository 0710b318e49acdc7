"""Options of GLoRIA (baselines/gloria.py)."""

from __future__ import annotations

from dataclasses import dataclass

from baselines.config import EncoderOptions
from baselines.options import ModelOptions, one_width
from offclip.options import Positive, Size


@dataclass(frozen=True)
class Options(ModelOptions):
    """Published temperatures (section 3.3)."""

    projection: Size | None = None
    attention_temperature: Positive = 4.0
    word_temperature: Positive = 5.0
    score_temperature: Positive = 10.0

    def fits(self, towers: EncoderOptions) -> None:
        """See ``ModelOptions``."""
        one_width(towers.image.dim, towers.text.dim, self.projection)

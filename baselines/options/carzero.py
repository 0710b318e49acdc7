"""Options of CARZero's head (baselines/fusion.py), and where it starts (baselines/carzero.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from baselines.config import EncoderOptions, divides
from baselines.options import ModelOptions, one_width
from offclip.options import Range, Size


@dataclass(frozen=True)
class FusionOptions(ModelOptions):
    """Size of the head, and the published quirks as switches."""

    layers: Annotated[int, Range(1, 64)] = 1
    heads: Size = 4
    ffn: Size = 128
    mlp: tuple[Size, ...] = (64,)
    """Hidden widths of the score MLP."""
    dropout: Annotated[float, Range(0, below=1)] = 0.0
    shared_norm: bool = False
    """True: one LayerNorm serves memory, queries and output, as released. False: one each, because image tokens,
    text tokens and decoder outputs are differently distributed and one gain and bias cannot suit all three."""
    mask_padding: bool = True
    """False: padding slots receive attention, as released. True: only real words do; a text's score then does not
    depend on how far its batch was padded."""
    small_init: bool = False
    """True: every matrix starts at normal(0, 0.02), as released for width 768. False: torch's own, which scales with
    the width; at width 64, 0.02 leaves the scores nearly constant and learning starts late."""

    def fits(self, towers: EncoderOptions) -> None:
        """See ``ModelOptions``; the head works at the towers' own width."""
        one_width(towers.image.dim, towers.text.dim, None)
        divides("model_options.heads", self.heads, "encoders.text.dim", towers.text.dim)


PUBLISHED = FusionOptions(
    layers=4, heads=4, ffn=1024, mlp=(1024, 512, 256), dropout=0.1, shared_norm=True, mask_padding=False,
    small_init=True,
)  # fmt: skip


@dataclass(frozen=True)
class Options(FusionOptions):
    """Those of the head, and which defaults they change."""

    published: bool = False
    """True: what is not given is as released, sizes and quirks, instead of the defaults above."""

"""Options of open_clip's models (baselines/open_clip.py)."""

from __future__ import annotations

from dataclasses import dataclass

from baselines.options import ModelOptions
from offclip.options import Positive


@dataclass(frozen=True)
class Options(ModelOptions):
    """Which model."""

    name: str | None = None
    """An architecture of open_clip; a folder or a hub name as in ``checkpoint``, where it is to be trained further."""
    pretrained: str | None = None
    """A tag of open_clip's own list (fetched from the hub); None = random weights, unless a snapshot brings them."""
    checkpoint: str | None = None
    """A snapshot's folder or hub name, or a file of weights."""
    mean: float | None = None
    """Mean of the grey values in [0, 1] that the model was trained with; None = what the model says of itself, or
    OpenAI's. CheXzero's release subtracts 101.48761 / 255 = 0.39799, whichever weights it loads."""
    std: Positive | None = None
    """Their standard deviation; CheXzero's is 83.43944 / 255 = 0.32721."""

    def __post_init__(self) -> None:
        if self.name is None and self.checkpoint is None:
            raise ValueError(
                "open_clip needs a `checkpoint` (a folder, hub name or file) or `model_options.name` (an architecture)."
            )

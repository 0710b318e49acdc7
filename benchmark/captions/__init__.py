"""Captions of the training studies: sentences, prompted form, normal or abnormal, filter, pair label.

``run`` is the stage ``captions``; ``CaptionSampler`` is what training reads. Both load on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.captions.sampler import CaptionSampler

__all__ = ["CaptionSampler", "run"]


def run() -> None:
    """Stage ``captions`` (benchmark/captions/stage.py)."""
    from benchmark.captions import stage

    stage.run()


def __getattr__(name: str) -> Any:
    if name == "CaptionSampler":
        from benchmark.captions.sampler import CaptionSampler

        return CaptionSampler
    raise AttributeError(f"module {__name__} has no attribute {name}")

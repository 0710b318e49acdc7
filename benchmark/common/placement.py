"""Where an image lies inside the padded square of the cache."""

from __future__ import annotations


def placed(height: int, width: int, size: int) -> tuple[int, int, int, int]:
    """Where an image lies in its padded square: inner height, inner width, top, left (pixels of the square).

    The published preprocessing (OFF-CLIP and CARZero): the longer side becomes ``size``, the other is truncated to an
    integer, an odd remainder of padding goes right and below.
    """
    scale = size / max(height, width)
    inner = (size, max(int(width * scale), 1)) if height >= width else (max(int(height * scale), 1), size)
    return *inner, (size - inner[0]) // 2, (size - inner[1]) // 2

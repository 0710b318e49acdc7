"""The zone test's ground truth: a location word becomes a rectangle of a fixed lung-field template.

Open-I's MeSH qualifiers and PadChest's localisations say *where* a finding lies only in words: a side of the
patient and a third of the lung. The template is the frontal radiograph of the textbook, in fractions of the image
(no image, model or phantom was used to fit it): lung fields 36 % of the width each, from 12 % to 84 % of the
height, cut into equal thirds. The patient's left lies in the right half of a frontal image. It is coarse, so a
hit is weak evidence and the chance level must be read beside it.
"""

from __future__ import annotations

import numpy as np

from benchmark.evaluation.surface import Integers

SIDES = {"right": (0.10, 0.46), "left": (0.54, 0.90)}
"""The patient's side -> left and right edge of its lung field, fractions of the image's width."""
TOP, BOTTOM = 0.12, 0.84
THIRDS = ("upper", "middle", "lower")


def rectangles(side: str, zone: str, height: int, width: int) -> Integers:
    """Pixel rectangles (n, 4) of [top, left, bottom, right) for a location.

    Args:
        side: ``left`` or ``right`` of the patient; ``bilateral`` or "" means both lungs.
        zone: ``upper``, ``middle`` or ``lower`` third; "" means the whole height.
        height: of the original image, pixels.
        width: of the original image, pixels.

    Raises:
        ValueError: the side or the zone is none of these words.
    """
    if side not in (*SIDES, "bilateral", "") or zone not in (*THIRDS, ""):
        raise ValueError(
            f"a zone needs side left, right, bilateral or '' and zone upper, middle, lower or ''; "
            f"found side '{side}' and zone '{zone}'"
        )
    third = (BOTTOM - TOP) / len(THIRDS)
    top = TOP + (THIRDS.index(zone) * third if zone else 0)
    bottom = top + (third if zone else BOTTOM - TOP)
    lungs = [SIDES[side]] if side in SIDES else list(SIDES.values())
    fractions = np.array([(top, left, bottom, right) for left, right in lungs])
    pixels: Integers = np.rint(fractions * (height, width, height, width)).astype(np.int64)
    return pixels

"""Location words -> side and third of the lung field, for datasets whose only grounding truth is words.

Open-I's MeSH qualifiers and PadChest's localizations name anatomy; a zone is what they say about a frontal image:
the patient's side, and the upper, middle or lower third. Lobes overlap on a frontal view, so a lobe's third is where
most of it projects; words that say neither side nor third give no zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

THIRDS = {
    "upper": ("upper lobe", "upper lung field", "apex", "apical", "suprahilar", "supraclavicular", "clavicle"),
    "middle": ("middle lobe", "middle lung field", "lingula", "hilum", "hilar", "perihilar", "azygos lobe"),
    "lower": (
        "lower lobe", "lower lung field", "base", "basal", "bases", "costophrenic angle", "infrahilar", "retrocardiac",
        "cardiophrenic angle", "diaphragm", "supradiaphragm",
    ),
}  # fmt: skip
SIDES = {
    "left": ("left", "lingula"),
    "right": ("right", "middle lobe", "azygos lobe"),
    "bilateral": ("bilateral", "both sides", "both"),
}
"""Side words; ``lingula`` and ``middle lobe`` exist on one side only."""
OUTSIDE = (
    "humerus", "humeral", "shoulder", "scapula", "clavicular", "neck", "abdomen", "hypochondrium", "infradiaphragm",
    "lumbar", "cervical", "thoracic vertebrae", "dorsal vertebrae", "spine", "column", "axilar", "gallbladder",
    "gastric", "breast", "nipple", "pectoral", "acromioclavicular", "glenohumeral", "rotator cuff", "epigastric",
)  # fmt: skip
"""Words of places outside the lung fields: a third of the lung says nothing about them."""


@dataclass(frozen=True)
class Zone:
    """Where a finding lies: the patient's ``side`` and the ``third`` of the lung field ("" = not said)."""

    side: str
    third: str

    def as_region(self, finding: str) -> dict[str, object]:
        """The columns of a region row that a zone fills."""
        return {"finding": finding, "kind": "zone", "side": self.side, "zone": self.third}


def _pattern(phrases: Iterable[str]) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(map(re.escape, phrases)) + r")\b")


_OUTSIDE = _pattern(OUTSIDE)
_SIDES = {side: _pattern(phrases) for side, phrases in SIDES.items()}
_THIRDS = {third: _pattern(phrases) for third, phrases in THIRDS.items()}


def from_words(words: Iterable[str]) -> list[Zone]:
    """Zones that a set of location words describes; one zone per third named, none where neither is said.

    >>> from_words(["lung", "upper lobe", "right"])
    [Zone(side='right', third='upper')]
    """
    said = " | ".join(word.lower().strip() for word in words)
    if _OUTSIDE.search(said):
        return []
    sides = [side for side, pattern in _SIDES.items() if pattern.search(said)]
    side = "bilateral" if len(sides) > 1 else "".join(sides)
    thirds = [third for third, pattern in _THIRDS.items() if pattern.search(said)]
    if not side and not thirds:
        return []
    return [Zone(side, third) for third in thirds or [""]]

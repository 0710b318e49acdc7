"""Location words of both vocabularies -> side and third."""

from __future__ import annotations

import pytest

from benchmark.cohort.adapters.locations import Zone, from_words


@pytest.mark.parametrize(
    ("words", "zones"),
    [
        (["lung", "upper lobe", "right"], [Zone("right", "upper")]),
        (["base", "bilateral"], [Zone("bilateral", "lower")]),
        (["right", "left", "base"], [Zone("bilateral", "lower")]),
        (["lingula"], [Zone("left", "middle")]),
        (["middle lobe"], [Zone("right", "middle")]),
        (["hilum", "base", "left"], [Zone("left", "middle"), Zone("left", "lower")]),
        (["Right ", "pleura"], [Zone("right", "")]),
        (["left costophrenic angle"], [Zone("left", "lower")]),
        (["basal bilateral"], [Zone("bilateral", "lower")]),
        (["infrahilar"], [Zone("", "lower")]),
        (["mild", "diffuse"], []),
        (["humeral head", "right"], []),
        (["thoracic vertebrae", "left"], []),
        ([], []),
    ],
)
def test_words_become_zones(words: list[str], zones: list[Zone]) -> None:
    assert from_words(words) == zones

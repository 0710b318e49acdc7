from __future__ import annotations

import pytest

from benchmark.cohort.phantom.findings.drawing import COMPOUND, DRAW, NO_SIDE, to_draw
from benchmark.cohort.phantom.findings.finding import RULES, Finding, from_tag, plan
from benchmark.cohort.phantom.studies import UNINDEXED, generator


@pytest.mark.parametrize(
    ("tag", "kind", "side", "zone"),
    [
        ("Pleural Effusion/left/small", "effusion", "left", ""),
        ("Pulmonary Atelectasis/base/bilateral/mild", "atelectasis", "bilateral", "lower"),
        ("Opacity/lung/middle lobe/right", "opacity", "right", "lower"),
        ("Opacity/lung/lingula", "opacity", "left", "lower"),
        ("Calcified Granuloma/lung/upper lobe/left", "granuloma", "left", "upper"),
        ("Calcinosis/lung/hilum/lymph nodes/right", "calcified_nodes", "right", "middle"),
        ("Calcinosis/aorta", "aortic_calcification", "", ""),
        ("Lung/hypoinflation/mild", "low_volume", "", ""),
        ("Fractures, Bone/ribs/right/healed", "rib_fracture", "right", ""),
    ],
)
def test_a_tag_says_what_and_where(tag: str, kind: str, side: str, zone: str) -> None:
    finding = from_tag(tag)
    assert finding is not None
    assert (finding.kind, finding.side, finding.zone) == (kind, side, zone)


def test_qualifiers_order_severity() -> None:
    words = ("borderline", "mild", "moderate", "severe")
    severities = [from_tag(f"Cardiomegaly/{word}").severity for word in words]
    assert severities == sorted(severities)
    assert severities[1] < from_tag("Cardiomegaly").severity < severities[2]


def test_normal_asks_for_nothing() -> None:
    assert from_tag("normal") is None
    assert plan(["normal"]) == []


def test_every_rule_names_a_brush() -> None:
    assert {kind for _, _, kind in RULES} <= set(DRAW) | set(COMPOUND)
    assert set(NO_SIDE) <= set(DRAW)


def test_sides_are_settled_before_drawing() -> None:
    rng = generator(1, "open_i", 0)
    for kind in sorted((set(DRAW) | set(COMPOUND)) - NO_SIDE):
        for side in ("left", "right", "bilateral", ""):
            singles = to_draw(Finding(kind, side), rng)
            wanted = {"left": {"left"}, "right": {"right"}, "bilateral": {"left", "right"}}.get(side)
            sides = {single.side for single in singles if single.kind not in NO_SIDE}
            assert sides <= {"left", "right"}
            assert wanted is None or sides == wanted


def test_abnormal_reports_are_rarely_images_with_nothing_drawn(reports) -> None:
    abnormal = [r for r in reports if not r.normal and r.text and not UNINDEXED & set(r.major)]
    bare = [r for r in abnormal if not plan(r.major)]
    assert len(bare) / len(abnormal) < 0.03

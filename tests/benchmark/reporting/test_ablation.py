"""An effect is a pair of systems that differ in one part alone."""

from __future__ import annotations

import pandas as pd

from benchmark.artifacts import evidence
from benchmark.pipeline import layout, settings
from benchmark.reporting import ablation


def test_effects_are_the_pairs_that_differ_in_one_part(reported):
    found = evidence.load(settings.load())
    known = ablation.effects_of(found, ablation.members(found))
    assert {(e.part, e.a, e.b) for e in known} == {
        ("captions", "offclip", "offclip_nofilter"),
        ("captions", "carzero_filter", "carzero"),
        ("objective", "offclip", "carzero_filter"),
        ("objective", "offclip_nofilter", "carzero"),
    }


def test_an_effect_points_toward_the_full_method(reported):
    found = evidence.load(settings.load())
    for effect in ablation.effects_of(found, ablation.members(found)):
        assert effect.after in ("filtered", "off_clip")
        assert effect.before in ("raw", "info_nce")


def test_the_first_page_names_the_changes_whose_interval_excludes_zero(reported):
    path = layout.RESULTS / "differences.csv"
    table = pd.read_csv(path)
    table.loc[table.quantity == "normal_auc", ["estimate", "low", "high"]] = [0.0, -0.1, 0.1]
    filtered = (table.a == "carzero_filter") & (table.b == "carzero") & (table.quantity == "normal_auc")
    table.loc[filtered, ["estimate", "low", "high"]] = [0.2, 0.1, 0.3]
    table.to_csv(path, index=False)
    found = evidence.load(settings.load())
    known = ablation.effects_of(found, ablation.members(found))
    assert ablation.answer(found, known, "normal_auc", "prompt") == (
        "Normal AUC: of 4 single changes, 1 raises it with an interval above zero: raw → filtered (CARZero + filter "
        "against CARZero) by +0.200 [0.100, 0.300]."
    )


def test_every_row_of_the_ablation_is_described_and_measured(reported_once, reported):
    found = evidence.load(settings.load())
    members = ablation.members(found)
    assert members == ("carzero", "offclip", "carzero_filter", "offclip_nofilter")
    assert [row[0].text for row in ablation.parts_table(found, members).rows] == [found.label(m) for m in members]

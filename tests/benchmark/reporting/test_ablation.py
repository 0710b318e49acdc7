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


def test_the_first_page_names_the_changes_that_survive_the_adjustment(reported):
    path, adjusted = layout.RESULTS / "differences.csv", layout.RESULTS / "effects.csv"
    table, effects = pd.read_csv(path), pd.read_csv(adjusted)
    table.loc[table.quantity == "normal_auc", ["estimate", "low", "high"]] = [0.2, 0.1, 0.3]
    table.loc[table.quantity == "normal_auc", "p_holm"] = None
    table.to_csv(path, index=False)
    effects.loc[effects.p_holm.notna(), "p_holm"] = 0.4
    survives = (effects.added == "carzero_filter") & (effects.removed == "carzero") & effects.p_holm.notna()
    effects.loc[survives, "p_holm"] = 0.01
    effects.to_csv(adjusted, index=False)
    found = evidence.load(settings.load())
    known = ablation.effects_of(found, ablation.members(found))
    raised = " by +0.200 [0.100, 0.300]" if (table[(table.a == "carzero_filter")].b == "carzero").any() else ""
    assert ablation.answer(found, known, "normal_auc", "prompt") == (
        "Normal AUC: of 4 single changes, after Holm's adjustment, 1 raises it: raw → filtered (CARZero + filter "
        f"against CARZero){raised}."
    )


def test_every_row_of_the_ablation_is_described_and_measured(reported_once, reported):
    found = evidence.load(settings.load())
    members = ablation.members(found)
    assert members == ("carzero", "offclip", "carzero_filter", "offclip_nofilter")
    assert [row[0].text for row in ablation.parts_table(found, members).rows] == [found.label(m) for m in members]

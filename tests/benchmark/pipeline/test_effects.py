"""Which effects and interactions a set of systems allows, and that their intervals are those of paired draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from benchmark.pipeline import layout
from benchmark.pipeline.effects import Effect, effects, interactions, other_start, parts, split
from benchmark.pipeline.settings import Settings, parse
from benchmark.statistics.bootstrap import draw, resampled_aucs
from benchmark.statistics.quantities import Measured, Quantity
from benchmark.statistics.tables import contrast, seed_layouts
from tests.repository import REPOSITORY

SQUARE = {
    "base": {"objective": "plain", "captions": "raw"},
    "only_objective": {"objective": "new", "captions": "raw"},
    "only_captions": {"objective": "plain", "captions": "filtered"},
    "whole": {"objective": "new", "captions": "filtered"},
}
KEY = Quantity("auc", "normal_auc", score="prompt")


def with_systems(systems: dict[str, dict[str, Any]], references: tuple[str, ...] = ("whole", "base")) -> Settings:
    """The shipped settings with other systems."""
    values = yaml.safe_load((REPOSITORY / layout.PARAMS).read_text())
    values["systems"] = {name: {"label": name, "model": "m"} | system for name, system in systems.items()}
    values["statistics"]["ablation_references"] = list(references)
    return parse(values | {"compare": list(systems), "scratch": [], "ablation": []})


def pairs(known: list[Effect]) -> set[tuple[str, str, str]]:
    return {(effect.part, effect.a, effect.b) for effect in known}


def test_a_square_has_four_effects_turned_toward_the_full_method() -> None:
    known = effects(with_systems(SQUARE), list(SQUARE))
    assert pairs(known) == {
        ("captions", "whole", "only_objective"),
        ("captions", "only_captions", "base"),
        ("objective", "whole", "only_captions"),
        ("objective", "only_objective", "base"),
    }
    assert known[0].name == "captions: raw → filtered (start pretrained, model m, objective new)"


@pytest.mark.parametrize("order", [list(SQUARE), list(SQUARE)[::-1]])
def test_a_square_has_one_interaction_whatever_the_order(order: list[str]) -> None:
    (found,) = interactions(effects(with_systems(SQUARE), order))
    assert [set(side) for side in found.sides] == [{"whole", "base"}, {"only_objective", "only_captions"}]
    assert found.name == "captions: raw → filtered × objective: plain → new (start pretrained, model m)"


def test_three_corners_have_no_interaction() -> None:
    for missing in SQUARE:
        systems = [name for name in SQUARE if name != missing]
        assert interactions(effects(with_systems(SQUARE), systems)) == []


def test_a_cube_of_three_parts_has_its_six_faces() -> None:
    cube = SQUARE | {f"other_{name}": system | {"model": "n"} for name, system in SQUARE.items()}
    known = effects(with_systems(cube), list(cube))
    assert len(known) == 12
    found = interactions(known)
    assert len(found) == 6
    assert len({interaction.name for interaction in found}) == 6
    for interaction in found:
        assert interaction.first.part != interaction.other.part
        assert len({*interaction.sides[0], *interaction.sides[1]}) == 4


def test_options_belong_to_their_part() -> None:
    systems = {
        "whole": {"objective": "new", "objective_options": {"form": "soft", "alpha": 2}},
        "plain": {"objective": "new"},
        "wide": {"objective": "new", "model_options": {"width": 32}},
        "released": {"objective": "new", "checkpoint": "weights.pt"},
    }
    configured = with_systems(systems, ("whole",))
    assert parts(configured.systems["whole"])["objective"] == "new (alpha 2, form soft)"
    assert pairs(effects(configured, list(systems))) == {
        ("objective", "whole", "plain"),
        ("model", "plain", "wide"),
        ("model", "plain", "released"),
    }  # two variants of a part are each compared with the full method's level, not with one another


def test_where_a_system_starts_is_a_part_of_it() -> None:
    starts = SQUARE | {"whole_scratch": SQUARE["whole"] | {"start": "scratch"}}
    (start,) = [one for one in effects(with_systems(starts), list(starts)) if one.part == "start"]
    assert (start.a, start.b) == ("whole", "whole_scratch")
    assert start.change == "start: scratch → pretrained"


def test_the_share_of_prompted_captions_belongs_to_the_captions() -> None:
    systems = {"whole": SQUARE["whole"], "prompted": SQUARE["whole"] | {"prompted_share": 1.0}}
    assert pairs(effects(with_systems(systems), list(systems))) == {("captions", "whole", "prompted")}


def test_without_its_references_the_direction_is_still_the_same_everywhere() -> None:
    configured = with_systems(SQUARE, ("elsewhere",))
    known = effects(configured, list(SQUARE))
    assert len({(effect.after, effect.before) for effect in known}) == 2
    assert len(interactions(known)) == 1


def test_the_interval_of_an_interaction_is_drawn_from_paired_replicates_on_the_shared_seeds() -> None:
    """Each replicate against scikit-learn on the drawn rows, of all four systems at once."""
    configured = with_systems(SQUARE)
    chosen = configured.statistics
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, 80).astype(float)
    patients = np.arange(80) // 2
    draws = draw(patients, 25, chosen.seed, "x")
    seeds = {"base": (0, 1, 2), "whole": (2, 0, 1), "only_captions": (0,), "only_objective": (0, 4)}
    scores = {
        (name, seed): generator.normal(size=80) + labels * (name == "whole") for name in seeds for seed in seeds[name]
    }
    measured = {
        pair: {KEY: Measured(resampled_aucs(labels[:, None], values[:, None], draws)[0])}
        for pair, values in scores.items()
    }
    (interaction,) = interactions(effects(configured, list(SQUARE)))
    found = contrast(KEY, interaction.sides, measured, seed_layouts(measured), chosen)
    assert found is not None
    assert found.seeds == (0,)

    def literal(rows: np.ndarray) -> float:
        each = {name: roc_auc_score(labels[rows], scores[name, 0][rows]) for name in SQUARE}
        return (each["whole"] - each["only_objective"]) - (each["only_captions"] - each["base"])

    assert found.statistic.estimate == pytest.approx(literal(np.arange(80)), abs=1e-12)
    for replicate in range(25):
        rows = np.repeat(np.arange(80), draws.counts[draws.cluster, replicate])
        assert found.statistic.replicates[replicate] == pytest.approx(literal(rows), abs=1e-12)


def test_systems_without_a_common_seed_have_no_contrast() -> None:
    statistic = resampled_aucs(np.array([[0.0], [1.0]]), np.array([[0.1], [0.2]]), draw(range(2), 10, 1))[0]
    measured = {("a", 0): {KEY: Measured(statistic)}, ("b", 1): {KEY: Measured(statistic)}}
    for other in ("b", "c"):
        assert (
            contrast(KEY, (("a",), (other,)), measured, seed_layouts(measured), with_systems(SQUARE).statistics) is None
        )


def test_the_twin_of_a_system_differs_in_its_start_alone() -> None:
    scratch = {f"{name}_scratch": own | {"start": "scratch"} for name, own in SQUARE.items()}
    known = with_systems({**SQUARE, **scratch})
    assert {name: other_start(known, name) for name in SQUARE} == {name: f"{name}_scratch" for name in SQUARE}
    assert other_start(known, "base_scratch") == "base"
    assert other_start(with_systems(SQUARE), "base") is None


def test_the_way_between_two_corners_goes_by_the_two_others() -> None:
    found = split(with_systems(SQUARE), "whole", "base")
    assert found is not None
    assert dict(found.alone) == {"objective": "only_objective", "captions": "only_captions"}
    assert split(with_systems(SQUARE), "whole", "only_captions") is None  # one part alone differs
    assert split(with_systems({k: v for k, v in SQUARE.items() if k != "only_captions"}), "whole", "base") is None

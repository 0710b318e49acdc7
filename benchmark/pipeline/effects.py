"""What each part of the method does on its own (marginal effects), and how far two parts depend on each other.

A system is the sum of its parts (params.yaml: model, objective, captions, each with its options, and the start of the
image tower); no system is known by name. Two systems that differ in one part alone measure that part. Four systems that
combine two levels of one part with two of another measure their interaction: the difference of the two differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from benchmark.pipeline.settings import HALF, Settings, SystemSettings

PARTS = ("start", "model", "objective", "captions")
Sides = tuple[tuple[str, ...], tuple[str, ...]]
"""The systems that a contrast adds, and those that it takes away."""


def parts(system: SystemSettings) -> dict[str, str]:
    """A system's parts in words: ``{"start": "pretrained", "model": "carzero", "objective": "off_clip", ...}``."""

    def described(name: str, options: dict[str, Any]) -> str:
        words = ", ".join(f"{key} {value}" for key, value in sorted(options.items()))
        return f"{name} ({words})" if words else name

    weights = {"checkpoint": system.checkpoint} if system.checkpoint else {}
    share = {} if system.prompted_share == HALF else {"prompted_share": system.prompted_share}
    return {
        "start": system.start,
        "model": described(system.model, system.model_options | weights),
        "objective": described(system.objective, system.objective_options),
        "captions": described(system.captions, share),
    }


@dataclass(frozen=True)
class Effect:
    """Replacing ``before`` by ``after`` in one part while the others are kept: system ``a`` against system ``b``."""

    part: str
    after: str
    before: str
    a: str
    b: str
    kept: tuple[tuple[str, str], ...]
    """The other parts, which the two share."""

    @property
    def sides(self) -> Sides:
        """a - b."""
        return (self.a,), (self.b,)

    @property
    def change(self) -> str:
        """``captions: raw → filtered``."""
        return f"{self.part}: {self.before} → {self.after}"

    @property
    def name(self) -> str:
        """The change and what it was measured beside."""
        return f"{self.change} ({', '.join(f'{part} {value}' for part, value in self.kept)})"


@dataclass(frozen=True)
class Interaction:
    """How much more the same change does beside one level of another part (``first``) than beside the other."""

    first: Effect
    second: Effect
    other: Effect
    """The change of the other part that leads from ``second`` to ``first``."""

    @property
    def sides(self) -> Sides:
        """(first.a - first.b) - (second.a - second.b)."""
        return (self.first.a, self.second.b), (self.first.b, self.second.a)

    @property
    def name(self) -> str:
        """Both changes and what they were measured beside."""
        kept = [f"{part} {value}" for part, value in self.first.kept if part != self.other.part]
        return f"{self.first.change} × {self.other.change} ({', '.join(kept)})"


def effects(settings: Settings, systems: Sequence[str]) -> list[Effect]:
    """Every pair of systems that differ in one part alone, turned toward the full method and nearest to it first.

    Of a part with more than two levels, those pairs are kept in which one system has the full method's level: two
    variants of an objective are each compared with the objective, not with one another.

    Args:
        settings: of params.yaml; the first of ``ablation_references`` is the full method, the last the baseline.
        systems: the systems that were measured.
    """
    known = {name: parts(settings.systems[name]) for name in systems}
    ends = [settings.systems[name] for name in settings.statistics.ablation_references if name in settings.systems]
    full, base = (parts(ends[0]), parts(ends[-1])) if ends else ({}, {})

    def rank(name: str, part: str) -> tuple[bool, bool, str]:
        # It depends on the level of the part alone, so that the same change points the same way everywhere.
        level = known[name][part]
        return level != full.get(part), level == base.get(part), level

    found = []
    for pair in combinations(known, 2):
        changed = [part for part in PARTS if known[pair[0]][part] != known[pair[1]][part]]
        if len(changed) != 1:
            continue
        part = changed[0]
        levels = {own[part] for own in known.values()}
        if len(levels) > 2 and full.get(part) in levels - {known[name][part] for name in pair}:
            continue
        a, b = sorted(pair, key=lambda name: rank(name, part))
        kept = tuple((other, known[a][other]) for other in PARTS if other != part)
        found.append(Effect(part, known[a][part], known[b][part], a, b, kept))

    def order(effect: Effect) -> tuple[int, int, str, str]:
        distance = sum(known[effect.a][part] != full.get(part) for part in PARTS)
        return -PARTS.index(effect.part), distance, effect.after, effect.before

    return sorted(found, key=order)


def interactions(known: Sequence[Effect]) -> list[Interaction]:
    """Every square of systems: two levels of one part by two levels of another, the third part being shared.

    A square holds each change twice, and either part may be read as the one whose effect depends on the other: the
    number is the same, so each square is listed once, under the part that comes last in ``PARTS``.
    """
    by_pair = {(effect.a, effect.b): effect for effect in known}
    found = []
    for first, second in combinations(known, 2):
        if (first.part, first.after, first.before) != (second.part, second.after, second.before):
            continue
        for above, below in ((first, second), (second, first)):
            other = by_pair.get((above.a, below.a))
            if other and (above.b, below.b) in by_pair and PARTS.index(other.part) < PARTS.index(first.part):
                found.append(Interaction(above, below, other))
    return found


def other_start(settings: Settings, system: str) -> str | None:
    """The measured system that differs from ``system`` in its start alone; None where there is none."""
    own = parts(settings.systems[system])
    for name in settings.names():
        other = parts(settings.systems[name])
        if other["start"] != own["start"] and all(other[part] == own[part] for part in PARTS if part != "start"):
            return name
    return None


@dataclass(frozen=True)
class Split:
    """The way from one system to another that differs in two parts, by each part alone and by both."""

    a: str
    b: str
    alone: tuple[tuple[str, str], ...]
    """(part, the system that has this part as ``a`` and the other as ``b``)."""


def split(settings: Settings, a: str, b: str) -> Split | None:
    """How the parts of ``a`` lead from ``b`` to ``a``; None where they do not differ in two, or a corner is missing."""
    known = {name: parts(settings.systems[name]) for name in settings.names()}
    if not {a, b} <= set(known):
        return None
    changed = [part for part in PARTS if known[a][part] != known[b][part]]
    corners = []
    for part in changed:
        wanted = {**known[b], part: known[a][part]}
        corners.append((part, next((name for name, own in known.items() if own == wanted), "")))
    complete = len(changed) == 2 and all(name for _, name in corners)
    return Split(a, b, tuple(corners)) if complete else None

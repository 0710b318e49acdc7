"""The words of the first page, composed from the numbers whichever way they fall.

A sentence is chosen by what an interval says (better, worse, or no difference shown), never by hope. Which two systems
are asked about, and by which quantity, is declared in params.yaml (`statistics.primary`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.artifacts import select
from benchmark.artifacts.columns import OVERALL, PRIMARY_RULES, WORST
from benchmark.artifacts.evidence import Evidence
from benchmark.pipeline.effects import other_start
from benchmark.reporting import budget, names, releases, tables


@dataclass(frozen=True)
class Asked:
    """A quantity that the headline weighs."""

    quantity: str
    score: str
    rule: str
    words: str
    more_is_better: bool = True


DETECTION = (
    Asked("normal_auc", "prompt", "", "Normal AUC, published wording"),
    Asked("normal_auc", WORST, "", "Normal AUC, worst wording"),
    Asked("normal_auc", "one_minus_max", "", "Normal AUC by 1 − max over findings"),
    Asked("normal_auc", "contrast", "", "Normal AUC by normal − abnormal prompt"),
)
COSTS = (
    Asked("abnormal_auc", "", "", "Abnormal AUC"),
    Asked("abnormal_auc_among_abnormals", "", "", "the same among abnormal images alone"),
    Asked("abnormal_auc_against_normals", "", "", "the same, positives against normal images"),
    Asked("pointing", "", "", "Pointing game"),
    Asked("false_negative_rate", "prompt", "youden", "Abnormals called normal, Youden's threshold", False),
    Asked("false_positive_rate", "prompt", "youden", "Normals called abnormal, Youden's threshold", False),
    Asked("false_negative_rate", "prompt", "specificity_95", "Abnormals called normal at 95 % specificity", False),
    Asked("false_positive_rate", "prompt", "sensitivity_95", "Normals called abnormal at 95 % sensitivity", False),
)
VERDICTS = ("supported", "supported in direction", "contradicted", "inconclusive", "not testable here")
BETTER, WORSE, SAME = "better", "worse", "no difference shown"


def pair(found: Evidence) -> tuple[str, str] | None:
    """The two systems of the primary endpoint, or None where they are not both measured."""
    primary = found.settings.statistics.primary
    return (primary.a, primary.b) if {primary.a, primary.b} <= set(found.settings.names()) else None


def twins(found: Evidence) -> tuple[str, str] | None:
    """The same two systems from the other start, where both were measured."""
    others = [other_start(found.settings, system) for system in pair(found) or ()]
    return (others[0], others[1]) if len(others) == 2 and others[0] and others[1] else None


def difference(
    found: Evidence, systems: tuple[str, str] | None, asked: Asked, dataset: str = OVERALL
) -> select.Row | None:
    """The paired difference of two systems in a quantity."""
    if systems is None:
        return None
    where = {"dataset": dataset, "quantity": asked.quantity, "score": asked.score}
    rule = asked.rule or PRIMARY_RULES
    return select.difference(found.results["differences"], *systems, rule=rule, **where)


def reading(row: select.Row, level: float, more_is_better: bool = True) -> str:
    """What a difference shows, in words.

    Args:
        row: estimate, low, high and, where the comparison was declared, p_holm.
        level: confidence level.
        more_is_better: False for error rates.
    """
    if not (row["low"] > 0 or row["high"] < 0):
        return SAME
    word = BETTER if (row["estimate"] > 0) == more_is_better else WORSE
    return word if select.is_significant(row, level) else f"{word}, unadjusted"


def compose(found: Evidence) -> dict[str, Any]:
    """Titles, question, headline, the other start, price, verdict count, banner and budget line."""
    labels = names.join([found.label(s) for s in found.systems])
    asked = pair(found)
    return {
        "title": f"Does {found.label(asked[0])} detect normal chest radiographs better?" if asked else labels,
        "running": labels if found.released else f"{labels} under one budget",
        "question": _question(found),
        "headline": _headline(found),
        "twin": _twin(found),
        "price": _price(found),
        "budget": _budget(found),
        "released": " ".join(filter(None, (releases.prompts(found), releases.absent(found)))),
        "banner": banner(found),
        "verdicts": _verdict_counts(found),
    }


def word(found: Evidence) -> str:
    """The answer in one word, by the means over the datasets of `DETECTION` and `COSTS`.

    *Mixed*: some of them are significantly better and some worse. Else *Better* or *Worse*, as the primary quantity is;
    *No difference shown* where its interval holds both signs or its adjusted p does not confirm it. "" where it was not
    measured.
    """
    said = significant(found)
    if said[BETTER] and said[WORSE]:
        return "Mixed"
    row = _primary(found)
    if row is None:
        return ""
    said_of_primary = reading(row, found.settings.statistics.level, _more_is_better(found))
    return (said_of_primary if said_of_primary in (BETTER, WORSE) else SAME).capitalize()


def significant(found: Evidence) -> dict[str, list[str]]:
    """What is significantly better and what is worse over the datasets, each with its difference."""
    said: dict[str, list[str]] = {BETTER: [], WORSE: []}
    for asked in (*DETECTION, *COSTS):
        row = difference(found, pair(found), asked)
        if row is None:
            continue
        verdict = reading(row, found.settings.statistics.level, asked.more_is_better)
        if verdict in said:
            words = f"{asked.words[0].lower()}{asked.words[1:]}"
            words = words.replace("the same", "abnormal AUC", 1)
            said[verdict].append(f"{words} ({tables.signed(row['estimate'])})")
    return said


def _primary(found: Evidence) -> select.Row | None:
    one = found.settings.statistics.primary
    return difference(found, pair(found), Asked(one.quantity, one.score, one.rule, ""))


def _more_is_better(found: Evidence) -> bool:
    return not found.settings.statistics.primary.quantity.endswith("_rate")


def _measured_by(found: Evidence) -> str:
    """The primary quantity in words: ``normal AUC``."""
    named = names.quantity(found.settings.statistics.primary.quantity)
    return f"{named[0].lower()}{named[1:]}"


def _question(found: Evidence) -> str:
    if (systems := pair(found)) is None:
        return f"How do {names.join([found.label(s) for s in found.systems])} compare on normal and abnormal AUC?"
    a, b = (found.label(s) for s in systems)
    asked = f"{a} detect normal chest radiographs better than {b}, and at what cost?"
    return f"Does {asked}" if set(systems) & set(found.released) else f"Under one training budget, does {asked}"


def _headline(found: Evidence) -> str:
    if (systems := pair(found)) is None:
        declared = [found.label(s) for s in (found.settings.statistics.primary.a, found.settings.statistics.primary.b)]
        return f"The compared systems do not include both {names.join(declared)}; the tables show those compared."
    row = _primary(found)
    if row is None:
        return f"The difference in {_measured_by(found)} was not measured."
    a, b = (found.label(s) for s in systems)
    adjusted: str = f", p\u00a0{_p(row['p_holm'])} after Holm's adjustment" if pd.notna(row["p_holm"]) else ""
    return (
        f"{word(found)}: {a} minus {b} in {_measured_by(found)} is {tables.estimate(row, sign=True)} over the four "
        f"datasets{adjusted}; this design finds {tables.number(row['detectable'])} with 80 % power."
    )


def _p(value: float) -> str:
    shown = tables.p_value(value)
    return shown.replace("<", "<\u00a0") if shown.startswith("<") else f"=\u00a0{shown}"


def _twin(found: Evidence) -> str:
    """The primary difference between the same systems from the other start."""
    one = found.settings.statistics.primary
    systems = twins(found)
    row = difference(found, systems, Asked(one.quantity, one.score, one.rule, ""))
    if systems is None or row is None:
        return ""
    start = names.STARTS[found.start(systems[0])]
    verdict = reading(row, found.settings.statistics.level, _more_is_better(found))
    return (
        f"{start[0].upper()}{start[1:]}: {tables.estimate(row, sign=True)} ({verdict}; detectable "
        f"{tables.number(row['detectable'])})."
    )


def _price(found: Evidence) -> str:
    """What else is worse, or better, over the datasets."""
    if (systems := pair(found)) is None:
        return ""
    said = significant(found)
    parts = [f"is {verdict} in {names.join(said[verdict])}" for verdict in (WORSE, BETTER) if said[verdict]]
    if not parts:
        return "No quantity differs significantly over the four datasets."
    return f"{found.label(systems[0])} {'; it '.join(parts)}."


def _budget(found: Evidence) -> str:
    """What was trained under the budget, and what was not."""
    said = []
    if found.trained:
        seeds, scratch = len(found.settings.seeds), len(found.settings.scratch_seeds)
        other = f"({scratch} from scratch) " if found.settings.scratch and scratch != seeds else ""
        who = f"{names.join([found.label(s) for s in found.trained])} were" if len(found.trained) > 1 else ""
        who = who or f"{found.label(found.trained[0])} was"
        said.append(
            f"{who if found.released else 'Every system was'} trained from {seeds} seed{'s' if seeds > 1 else ''} "
            f"{other}under one budget of {budget.in_words(found)}."
        )
    said += [line for line in (budget.matched(found), budget.start(found)) if line]
    if found.released:
        several = len(found.released) > 1
        said.append(
            f"{names.join([found.label(s) for s in found.released])} {'were' if several else 'was'} not trained here: "
            "released weights, evaluated as they are, whatever data and budget they took."
        )
    return " ".join(said)


def banner(found: Evidence) -> str:
    """Which images were scored: published releases, or phantoms."""
    phantom = [names.dataset(name) for name, card in found.cards.items() if card["phantom"]]
    if not phantom:
        return "PUBLISHED DATASETS: every number was measured on the published releases named in the data cards."
    if len(phantom) < len(found.cards):
        return f"PARTLY PHANTOM: the images of {names.join(phantom)} are rendered; the others are published releases."
    return (
        "PHANTOM: every image was rendered from one public CT with simulated findings. The numbers compare methods"
        f"{' under a controlled budget' if found.trained else ''}; they say nothing about performance on patients."
    )


def _verdict_counts(found: Evidence) -> str:
    claims = found.results["claims"]
    if claims.empty:
        return ""
    # A claim that is tested on each dataset is judged on their mean.
    claims = claims[claims["verdict"] != "fact"]
    whole = claims.sort_values("dataset", key=lambda d: d != OVERALL, kind="stable").drop_duplicates("claim")
    counts = whole["verdict"].value_counts()
    listed = [f"{counts[v]} {v}" for v in VERDICTS if v in counts]
    return f"Of {len(whole)} published claims: {names.join(listed)}."

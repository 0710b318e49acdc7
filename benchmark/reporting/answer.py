"""The first page in words, composed from the numbers, whichever way they fall.

A sentence is chosen by what the interval says (gain, loss, or no difference shown), never by hope.
"""

from __future__ import annotations

from typing import Any, Literal

from benchmark.evidence import Evidence
from benchmark.reporting import materials, names, select, tables

CHALLENGER, REFERENCE = "offclip", "carzero"
COSTS = (
    ("abnormal_auc", "", "the macro AUC over findings", True),
    ("false_negative_rate", "prompt", "the share of abnormal pictures called normal", False),
    ("false_positive_rate", "prompt", "the share of normal pictures called abnormal", False),
    ("pointing", "", "the pointing game", True),
    ("normal_auc", "one_minus_max", "normal AUC by the score 1 − max over findings", True),
    ("normal_auc", "contrast", "normal AUC by the contrast of the normal and abnormal prompts", True),
)
"""Quantity, score, words, whether more is better."""
Direction = Literal["gain", "loss", "open"]


def pair(found: Evidence) -> tuple[str, str] | None:
    """The two systems of the question, or None where they are not both compared."""
    systems = found.systems
    return (CHALLENGER, REFERENCE) if CHALLENGER in systems and REFERENCE in systems else None


def direction(row: select.Row, level: float, more_is_better: bool = True) -> Direction:
    """What a difference shows at the given level."""
    if not select.is_significant(row, level):
        return "open"
    return "gain" if (row["estimate"] > 0) == more_is_better else "loss"


def compose(found: Evidence) -> dict[str, Any]:
    """Question, answer, costs, banner and budget line of the first page."""
    seeds = len(found.settings.seeds)
    return {
        "question": _question(found),
        "headline": _headline(found),
        "points": _by_dataset(found),
        "costs": _costs(found),
        "budget": f"Every system was trained from {seeds} seed{'s' if seeds > 1 else ''} under one budget of "
        f"{materials.budget(found)}. {materials.matched(found)}",
        "banner": _banner(found),
        "verdicts": _verdict_counts(found),
    }


def _question(found: Evidence) -> str:
    if (systems := pair(found)) is None:
        return f"How do {names.join([found.label(s) for s in found.systems])} compare on normal and abnormal AUC?"
    a, b = (found.label(s) for s in systems)
    return f"Under one training budget, does {a} detect normal chest radiographs better than {b}, and at what cost?"


def _headline(found: Evidence) -> str:
    if (systems := pair(found)) is None:
        return "The compared systems do not include both OFF-CLIP and CARZero; the main table ranks what is there."
    a, b = (found.label(s) for s in systems)
    row = _difference(found, "normal_auc", "prompt", "overall")
    if row is None:
        return "The difference in normal AUC was not measured."
    shown = tables.estimate(row, sign=True)
    kind = direction(row, found.settings.statistics.level)
    if kind == "gain":
        return f"Yes: over the four datasets {a}'s normal AUC is {shown} above {b}'s."
    if kind == "loss":
        return f"No: over the four datasets {a}'s normal AUC is below {b}'s, by {shown}."
    return f"Not shown: over the four datasets {a} and {b} differ in normal AUC by {shown}, which includes zero."


def _by_dataset(found: Evidence) -> list[str]:
    if (systems := pair(found)) is None:
        return []
    a, b = systems
    lines = []
    words: dict[Direction, str] = {"gain": "better", "loss": "worse", "open": "no difference shown"}
    for dataset in found.datasets:
        row = _difference(found, "normal_auc", "prompt", dataset)
        if row is None:
            continue
        values = [_value(found, dataset, s) for s in (a, b)]
        lines.append(
            f"{names.dataset(dataset)}: {found.label(a)} {values[0]}, {found.label(b)} {values[1]}, difference "
            f"{tables.estimate(row, sign=True)}: {words[direction(row, found.settings.statistics.level)]}."
        )
    return lines


def _value(found: Evidence, dataset: str, system: str) -> str:
    row = select.one(
        found.results["auc"],
        dataset=dataset,
        system=system,
        seed="all",
        quantity="normal_auc",
        score="prompt",
        finding="",
        progress=1.0,
    )
    return tables.estimate(row) if row else tables.MISSING


def _costs(found: Evidence) -> list[str]:
    if pair(found) is None:
        return []
    lines = []
    for quantity, score, words, more_is_better in COSTS:
        row = _difference(found, quantity, score, "overall")
        if row is None:
            continue
        kind = direction(row, found.settings.statistics.level, more_is_better)
        verdict = {"gain": "better", "loss": "worse", "open": "no difference shown"}[kind]
        lines.append(f"{words[0].upper()}{words[1:]}: {tables.estimate(row, sign=True)}: {verdict}.")
    return lines


def _banner(found: Evidence) -> str:
    phantom = [names.dataset(name) for name, card in found.cards.items() if card["phantom"]]
    if not phantom:
        return "PUBLISHED DATASETS: every number was measured on the published releases named in the data cards."
    if len(phantom) < len(found.cards):
        return f"PARTLY PHANTOM: {names.join(phantom)} are rendered; the others are the published releases."
    return (
        "PHANTOM: every picture was rendered from one public CT with drawn findings. The numbers compare methods under "
        "a controlled budget; they say nothing about performance on patients."
    )


def _verdict_counts(found: Evidence) -> str:
    claims = found.results["claims"]
    if claims.empty:
        return ""
    counts = claims["verdict"].value_counts()
    order = ("reproduced", "direction only", "not reproduced", "not testable here")
    listed = [f"{counts[v]} {v}" for v in order if v in counts]
    return f"Of {len(claims)} published claims tested: {names.join(listed)}."


def _difference(found: Evidence, quantity: str, score: str, dataset: str) -> select.Row | None:
    systems = pair(found)
    if systems is None:
        return None
    where = {"dataset": dataset, "quantity": quantity}
    table = found.results["differences"]
    return select.difference(table, *systems, score=score, **where) or (
        # Error rates are stored with the score that the threshold is set on, or with none.
        select.difference(table, *systems, **where) if quantity.endswith("_rate") else None
    )

"""The report of a comparison of released models alone: which of them detects normal radiographs best, by how much.

Nothing was trained, so there is no budget and no training seed, and no claim about training to judge. Statistics:
benchmark/statistics/ranking.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.artifacts import quantities, select
from benchmark.artifacts.columns import OVERALL
from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import (
    answer,
    cohorts,
    detail,
    headline,
    names,
    promises,
    provenance,
    releases,
    tables,
)
from benchmark.reporting.document import Document, drawn
from benchmark.reporting.figures import examples, histograms, prompts, roc, similarity
from benchmark.reporting.figures import ranking as figure
from benchmark.reporting.tables import Cell, Column, Table

RANKED = ("normal_auc", "prompt")
"""Quantity and score by which the models are put in order."""
BESIDE = (
    ("normal_auc", "one_minus_max", "1 − max"),
    ("normal_auc", "contrast", "Contrast"),
    ("abnormal_auc", "", "Abnormal AUC"),
    ("pointing", "", "Pointing game"),
)
"""Quantity, score and heading of what stands beside the ranking, as means over the datasets."""
SHOWN = 2
"""Models whose similarity matrices and heatmaps are drawn: the first of the ranking."""


def build(found: Evidence, figures: Path) -> Document:
    """Make the tables, draw the figures into ``figures`` and compose the first page."""
    order = ranked(found)
    best = tuple(order[:SHOWN])
    pointing = tuple(system for system in order if found.publishes_heatmaps(system))[:SHOWN]
    return Document(
        name="comparison",
        template="ranking",
        tables=(
            table(found, order),
            beside(found, order),
            pairs(found, order),
            releases.facts(found),
            releases.knowledge(found),
            headline.main(found),
            headline.normality(found),
            headline.differences(found, order[0]),
            detail.operating(found),
            detail.wordings(found),
            detail.per_finding(found),
            detail.grounding(found),
            detail.embedding(found),
            detail.calibration(found),
            promises.promises(found),
            detail.undefined(found),
            cohorts.counts(found),
            cohorts.exclusions(found),
            cohorts.prevalence(found),
            provenance.build(found),
        ),
        images=drawn(
            ranking=figure.draw(found, order, *RANKED, figures),
            roc=roc.draw(found, figures),
            histograms=histograms.draw(found, figures),
            similarity=similarity.draw(found, best, figures),
            heatmaps=examples.heatmaps(found, pointing, figures) if pointing else None,
            contact=examples.contact_sheet(found, figures),
            prompts=prompts.draw(found, figures),
        ),
        words=compose(found, order),
    )


def ranked(found: Evidence) -> list[str]:
    """The compared models, best first; those that were not measured last."""
    return sorted(found.systems, key=lambda system: _sortable(_overall(found, system)))


def _sortable(row: select.Row | None) -> float:
    return float("inf") if row is None or pd.isna(row["estimate"]) else -float(row["estimate"])


def _overall(found: Evidence, system: str) -> select.Row | None:
    return quantities.macro(found, OVERALL, system, *RANKED)


def from_best(found: Evidence, system: str, best: str) -> select.Row | None:
    """``system`` minus ``best``, with the interval and p that hold for all pairs together."""
    return select.difference(found.results["ranking"], system, best)


def reading(found: Evidence, row: select.Row | None) -> str:
    """What a difference from the best shows."""
    if row is None or pd.isna(row["p_holm"]):
        return "not tested"
    return "worse" if select.is_significant(row, found.settings.statistics.level) else "not told apart"


def compose(found: Evidence, order: list[str]) -> dict[str, Any]:
    """The sentences of the first page."""
    return {
        "title": "Which model detects normal radiographs best?",
        "running": "Released models, evaluated as they are",
        "question": "By how much, on which datasets, and how sure is it?",
        "headline": _headline(found, order),
        "unseen": _unseen(found, order),
        "nature": (
            "Nothing was trained here: there is no budget and no training seed. Weights are scored as released, "
            "whatever data they took; intervals are over patients."
        ),
        "prompts": releases.prompts(found),
        "absent": releases.absent(found),
        "banner": answer.banner(found),
    }


def _headline(found: Evidence, order: list[str]) -> str:
    best, *others = order
    row = _overall(found, best)
    if row is None:
        return "Normal AUC was not measured on all datasets; the main table shows what was."
    lead = f"{found.label(best)} has a normal AUC of {tables.estimate(row)} over the four datasets"
    if not others:
        return f"{lead}; no other model was there to compare it with."
    said = {system: reading(found, from_best(found, system, best)) for system in others}
    even = [system for system in others if said[system] != "worse"]
    if not even:
        gap = from_best(found, others[0], best)
        assert gap is not None  # it was read as worse
        size = tables.estimate(select.turned(gap))
        return f"{lead}, more than every other model; {found.label(others[0])}, the second, is lower by {size}."
    open_ = names.join([found.label(system) for system in even])
    worse = [found.label(system) for system in others if said[system] == "worse"]
    rest = f" {names.join(worse)} {'is' if len(worse) == 1 else 'are'} lower." if worse else ""
    return f"Not decided: {lead}, the highest, but {open_} cannot be told apart from it.{rest}"


def _unseen(found: Evidence, order: list[str]) -> str:
    """Whether the order of the first is owed to datasets that a model knows."""
    known = [d for d in found.datasets if any(found.seen(s, d) in ("seen", "chosen") for s in order)]
    unknown = [d for d in found.datasets if d not in known]
    if not known or not unknown or len(order) < 2:
        return ""
    who = names.join([names.dataset(d) for d in known])
    rows = {s: [quantities.macro(found, d, s, *RANKED) for d in unknown] for s in order}
    means = {s: sum(r["estimate"] for r in each if r) / len(unknown) for s, each in rows.items() if all(each)}
    if not means:
        return ""
    first = max(means, key=lambda system: means[system])
    same = "still comes first" if first == order[0] else "would come first"
    return (
        f"Without {who}, which one of them was trained or chosen on, {found.label(first)} {same} "
        f"({tables.number(means[first])})."
    )


def table(found: Evidence, order: list[str]) -> Table:
    """The models in the order of their normal AUC over the datasets, and what the best has before each."""
    cells: tables.Cells = []
    records = []
    for rank, system in enumerate(order, 1):
        row = _overall(found, system)
        gap = from_best(found, system, order[0]) if system != order[0] else None
        said = reading(found, gap) if system != order[0] else "the best"
        cells.append(
            [
                str(rank),
                found.label(system, OVERALL),
                tables.estimate(row) if row else tables.MISSING,
                Cell(tables.estimate(gap, sign=True), bold=said == "worse") if gap else tables.MISSING,
                tables.p_value(gap["p_holm"]) if gap else tables.MISSING,
                said,
            ]
        )
        kept = {f"difference_{key}": gap[key] for key in ("estimate", "low", "high", "p", "p_holm")} if gap else {}
        own = {key: row[key] for key in ("estimate", "low", "high", "n")} if row else {}
        records.append({"rank": rank, "system": system, "dataset": OVERALL, "best": order[0], **own, **kept})
    count = len(order) * (len(order) - 1) // 2
    level = f"{100 * found.settings.statistics.level:.6g} %"
    return tables.table(
        "ranking",
        f"Normal AUC by the normal prompt, mean over the datasets, with {found.interval}s over patients.",
        [
            Column(""),
            Column("Model", "left"),
            Column("Normal AUC"),
            Column(f"Minus the best [{level}, all pairs]"),
            Column("p, Holm"),
            Column("It is", "left"),
        ],
        cells,
        pd.DataFrame(records),
        note=f"The best is chosen by the same data, so all {count} pairs of models are tested: the intervals of the "
        "differences hold for all of them together, and p is adjusted over all of them. " + releases.legend(found),
    )


def beside(found: Evidence, order: list[str]) -> Table:
    """The same models on each dataset, and by other quantities."""
    cells: tables.Cells = []
    records = []
    for system in order:
        shown = [found.label(system)]
        for dataset in found.datasets:
            row = quantities.macro(found, dataset, system, *RANKED)
            mark = found.seen_mark(system, dataset)
            shown.append(f"{tables.number(row['estimate'])}{mark}" if row else tables.MISSING)
            records.append(_record(system, dataset, *RANKED, row))
        for quantity, score, _ in BESIDE:
            row = quantities.macro(found, OVERALL, system, quantity, score)
            missing = releases.no_heatmap(found, system) if quantity == "pointing" else tables.MISSING
            shown.append(tables.number(row["estimate"]) if row else missing)
            records.append(_record(system, OVERALL, quantity, score, row))
        cells.append(list(shown))
    return tables.table(
        "ranking_beside",
        "Normal AUC on each dataset, and other quantities as means over the datasets.",
        [
            Column("Model", "left"),
            *[Column(names.dataset(d)) for d in found.datasets],
            *[Column(title) for *_, title in BESIDE],
        ],
        cells,
        pd.DataFrame(records),
        note="1 − max, contrast: normal AUC by the two other normality scores. Intervals are in the main table.",
    )


def _record(system: str, dataset: str, quantity: str, score: str, row: select.Row | None) -> dict[str, Any]:
    kept = {key: row[key] for key in ("estimate", "low", "high")} if row else {}
    return {"system": system, "dataset": dataset, "quantity": quantity, "score": score, **kept}


def pairs(found: Evidence, order: list[str]) -> Table:
    """Every pair of models, the better one first."""
    place = {system: rank for rank, system in enumerate(order)}
    data = found.results["ranking"]
    rows = [row if place[row["a"]] < place[row["b"]] else select.turned(row) for row in data.to_dict("records")]
    rows.sort(key=lambda row: (place[row["a"]], place[row["b"]]))
    cells: tables.Cells = [
        [
            found.label(row["a"]),
            found.label(row["b"]),
            Cell(tables.estimate(row, sign=True), bold=select.is_significant(row, found.settings.statistics.level)),
            tables.number(row["detectable"]),
            tables.p_value(row["p"]),
            tables.p_value(row["p_holm"]),
        ]
        for row in rows
    ]
    return tables.table(
        "ranking_pairs",
        "Every pair of models: difference in normal AUC by the normal prompt, mean over the datasets.",
        [
            Column("Model", "left"),
            Column("minus", "left"),
            Column("Difference [all pairs together]"),
            Column("Detectable"),
            Column("p"),
            Column("p, Holm"),
        ],
        cells,
        pd.DataFrame(rows, columns=data.columns),
        note="The same resampled patients for both models. Bold: significant after Holm's adjustment over all pairs. "
        "Detectable: the smallest difference that a test at the level of a single pair finds with 80 % power.",
        group_by=0,
    )

"""Rows of a release's public label table -> what is drawn for them, and how often each thing is in that table.

A study's labels are one row's labels: which findings come together, in which view, in whom, is the release's own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from benchmark.cohort.adapters import locations
from benchmark.cohort.phantom.drawn_as import KINDS
from benchmark.cohort.phantom.findings.drawing import NO_SIDE
from benchmark.cohort.phantom.findings.finding import Finding, Side, Zone
from benchmark.cohort.phantom.vocabulary import CHEXPERT_PARENTS, with_parents
from benchmark.materials import label_tables
from benchmark.materials.label_tables import LabelTable, Row

SAYS_NOTHING = frozenset({"unchanged"})
"""PadChest's labels that compare with an earlier image: alone they say nothing of what is seen."""
ZONED = frozenset(
    {
        "airspace_disease",
        "atelectasis",
        "bulla",
        "cavity",
        "consolidation",
        "fibrosis",
        "foreign_body",
        "granuloma",
        "infiltrate",
        "interstitial",
        "mass",
        "nodule",
        "nodules",
        "opacity",
        "pleural_thickening",
        "pneumonia",
        "scar",
        "surgical_clips",
    }
)
"""Kinds that are drawn in the third of the lung that the words name; the others lie where they lie."""
IMPLIED: dict[str, Zone] = {
    "apical pleural thickening": "upper",
    "atelectasis basal": "lower",
    "azygos lobe": "upper",
    "superior mediastinal enlargement": "upper",
}
SIDE_WORDS: dict[str, Side] = {"left": "left", "right": "right", "bilateral": "bilateral"}
THIRD_WORDS: dict[str, Zone] = {"upper": "upper", "middle": "middle", "lower": "lower"}
SUFFIXES = (" both sides", " left side", " right side", " bilateral")
"""PadChest's sentences sometimes write the side into the label."""


def usable(table: LabelTable) -> LabelTable:
    """The rows that can be imaged: every label has a brush, and some label says what is seen."""
    known = {*KINDS[table.dataset], label_tables.NORMAL[table.dataset]}
    column = np.array([name in known for name in table.names])
    nothing = np.array([name in SAYS_NOTHING for name in table.names])
    foreign = table.positive[:, ~column & ~nothing].any(axis=1)
    return table.only(np.asarray(~foreign & table.positive[:, column].any(axis=1)))


def sampled(table: LabelTable, count: int, rng: np.random.Generator) -> list[Row]:
    """``count`` rows: patients in random order, each with all of its rows, so that prevalences stay the table's own.

    Of CheXpert, whose test set holds one study a patient, rows are drawn; of a patient drawn twice the first counts.
    """
    if table.dataset == "chexpert":
        drawn = rng.permutation(len(table.number))
        first = np.sort(np.unique(table.patient[drawn], return_index=True)[1])
        return [table.row(int(index)) for index in drawn[first[:count]]]
    _, patient = np.unique(table.patient, return_inverse=True)
    rank = rng.permutation(patient.max() + 1)[patient]
    return [table.row(int(index)) for index in np.argsort(rank, kind="stable")[:count]]


def available(table: LabelTable) -> int:
    """The most rows that ``sampled`` can give."""
    return len(np.unique(table.patient)) if table.dataset == "chexpert" else len(table.number)


def labels_of(dataset: str, row: Row) -> frozenset[str]:
    """The labels that are written for a row; CheXpert's with those of its hierarchy, as its test set has them."""
    return frozenset(with_parents(row.labels)) if dataset == "chexpert" else row.labels - SAYS_NOTHING


def findings_of(dataset: str, row: Row, rng: np.random.Generator) -> list[Finding]:
    """What is drawn for a row.

    Args:
        dataset: whose row it is.
        row: one of ``usable`` rows.
        rng: decides what a table leaves open: which kind of several, and how plain each finding is.
    """
    if dataset == "vindr_cxr":
        return [_finding(dataset, label, rng, box=box) for label, box in row.boxes]
    found: dict[tuple[str, str, str], Finding] = {}
    for label in sorted(row.labels - {label_tables.NORMAL[dataset]} - SAYS_NOTHING):
        if dataset == "chexpert" and any(label in CHEXPERT_PARENTS.get(child, ()) for child in row.labels):
            continue  # the narrower label is what is seen of the wider one
        finding = _finding(dataset, label, rng)
        if dataset == "padchest":
            finding = _placed(finding, label, row)
            if finding.kind == "heart_failure" and "cardiomegaly" in row.labels:
                finding = replace(finding, kind="congestion")
        key = (finding.kind, finding.side, finding.zone)
        if key in found:
            finding = replace(found[key], labels=(*found[key].labels, label))
        found[key] = finding
    return list(found.values())


def _finding(
    dataset: str, label: str, rng: np.random.Generator, box: tuple[float, float, float, float] | None = None
) -> Finding:
    kinds = KINDS[dataset][label]
    kind = kinds[int(rng.integers(len(kinds)))]
    return Finding(kind, severity=float(rng.beta(2.0, 2.6)), labels=(label,), box=box)


def _placed(finding: Finding, label: str, row: Row) -> Finding:
    """The finding on the side and in the third that the words of its sentences name, where they agree on one."""
    words = [word for sentence in row.sentences if label in _named(sentence) for word in _words(sentence, label)]
    zones = locations.from_words(words)
    side = SIDE_WORDS.get(zones[0].side, "") if len({zone.side for zone in zones}) == 1 else ""
    third = THIRD_WORDS.get(zones[0].third, "") if len({zone.third for zone in zones}) == 1 else ""
    return replace(
        finding,
        side="" if finding.kind in NO_SIDE else side,
        zone=IMPLIED.get(label, third) if finding.kind in ZONED else "",
    )


def _named(sentence: tuple[str, ...]) -> set[str]:
    """The labels of a sentence, without sides."""
    return {
        next((word.removesuffix(suffix) for suffix in SUFFIXES if word.endswith(suffix)), word) for word in sentence
    }


def _words(sentence: tuple[str, ...], label: str) -> list[str]:
    """The location words of a sentence, and the side that its label bears."""
    sides = [word.removeprefix(label) for word in sentence if word != label and word.startswith(label)]
    return [word.removeprefix("loc ") for word in sentence if word.startswith("loc ")] + sides


@dataclass(frozen=True)
class Shares:
    """How frequent what is in a table or in a phantom set, shares of its images."""

    source: str
    """Which table, in words."""
    images: int
    """Rows that the shares are of."""
    normal: float
    ap: float | None
    """Taken from front to back; None where a table names no views."""
    ap_normal: float | None
    """The same among the normal images."""
    ap_abnormal: float | None
    prevalence: dict[str, float]
    """Label -> share of the images."""


def shares(source: str, normal: np.ndarray, ap: np.ndarray | None, labels: dict[str, np.ndarray]) -> Shares:
    """Shares of n images.

    Args:
        source: whose images.
        normal: bool (n,).
        ap: bool (n,), or None.
        labels: label -> bool (n,).
    """

    def among(chosen: np.ndarray) -> float | None:
        return None if ap is None or not chosen.any() else round(float(ap[chosen].mean()), 6)

    return Shares(
        source=source,
        images=len(normal),
        normal=round(float(normal.mean()), 6),
        ap=among(np.ones(len(normal), bool)),
        ap_normal=among(normal),
        ap_abnormal=among(~normal),
        prevalence={name: round(float(held.mean()), 6) for name, held in labels.items()},
    )


def of_table(table: LabelTable) -> Shares:
    """Shares of the usable rows of a table."""
    used = usable(table)
    positive = {name: used.positive[:, at] for at, name in enumerate(used.names)}
    if table.dataset == "chexpert":
        positive = {
            name: np.logical_or.reduce([held for of, held in positive.items() if name in with_parents([of])])
            for name in positive
        }
    left_out = label_tables.NORMAL[table.dataset], *SAYS_NOTHING
    named = {name: held for name, held in positive.items() if name not in left_out and held.any()}
    source = f"{len(used.number):,} usable of {table.read:,} rows of the release's public label table"
    return shares(source, used.normal, used.ap, named)

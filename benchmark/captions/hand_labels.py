"""Which sentences a person reads, and what that person said: the measure of the sentence classifier.

Sentences come from evaluation-side Open-I reports, drawn by a seeded rule from three strata of how often a sentence
occurs, so that rare wordings are as well represented as the stock phrases. The classifier has no part in the draw.
hand_labels.csv holds SHA-256 of the normalised sentence and 1 (normal) or 0 (abnormal), never text: the reports
may be read but not redistributed. The guideline is in docs/captions.md.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files

from benchmark.materials import partition
from benchmark.materials.open_i_report import OpenIReport
from offclip.sentences import normalise, report_body, sentence_hash, split_sentences

DRAW_SEED = 20251121
STRATA = {"once": (1, 1, 140), "few": (2, 4, 130), "common": (5, 10**9, 130)}
"""Stratum -> fewest and most occurrences among evaluation-side reports, sentences drawn."""


@dataclass(frozen=True)
class Drawn:
    """One sentence to read: its text, its stratum and how many sentences of that stratum it stands for."""

    text: str
    stratum: str
    weight: float
    """Occurrences that this sentence represents: its own, divided by its stratum's sampling fraction."""


def evaluation_sentences(reports: Iterable[OpenIReport]) -> Counter[str]:
    """Normalised sentence -> occurrences, over the reports that never train."""
    counts: Counter[str] = Counter()
    for report in reports:
        if partition.side(report.text) == "evaluation":
            counts.update(normalise(text) for text in split_sentences(report_body(report.text)))
    return counts


def draw(counts: Counter[str]) -> list[Drawn]:
    """The sentences to read: in each stratum those with the smallest SHA-256 of seed and text."""
    drawn = []
    for stratum, (fewest, most, size) in STRATA.items():
        members = [text for text, count in counts.items() if fewest <= count <= most]
        members.sort(key=lambda text: hashlib.sha256(f"{DRAW_SEED} {text}".encode()).hexdigest())
        fraction = min(1.0, size / max(len(members), 1))
        drawn += [Drawn(text, stratum, counts[text] / fraction) for text in members[:size]]
    return drawn


def read_labels() -> dict[str, bool]:
    """Sentence hash -> True where a person called the sentence normal."""
    text = files("benchmark.captions").joinpath("hand_labels.csv").read_text(encoding="utf-8")
    return {row["sha256"]: row["normal"] == "1" for row in csv.DictReader(text.splitlines())}


def label_of(text: str, labels: Mapping[str, bool]) -> bool | None:
    """The hand label of a sentence, None where it was not read."""
    return labels.get(sentence_hash(text))

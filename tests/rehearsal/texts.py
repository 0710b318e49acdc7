"""Reports by the hundred thousand that are not the same few again: sentences of the public ones, varied.

Half of the sentences get a measure, a place or a date of their own, so that nearly each is new to whatever remembers
sentences; the others repeat, as dictated ones do.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from benchmark.materials import contents
from offclip.sentences import report_sentences

SHORTEST, LONGEST = 3, 9
"""Sentences of a report."""
VARIED = 0.5
"""Share of the sentences that are given something of their own."""
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "October", "November", "December")
PLACES = ("at the left base", "at the right apex", "in the lingula", "behind the heart", "along the right hilum")


def reports(material: Path, count: int, seed: int = 4) -> Iterator[tuple[str, str]]:
    """Findings and impression of each report."""
    known = [sentence for report in contents.open_i_reports(material) for sentence in report_sentences(report.text)]
    draw = random.Random(seed)
    for _ in range(count):
        said = [_varied(draw.choice(known).rstrip(" ."), draw) for _ in range(draw.randint(SHORTEST, LONGEST))]
        yield ". ".join(said[:-1]) + ".", said[-1] + "."


def _varied(sentence: str, draw: random.Random) -> str:
    """The sentence, or one that nobody has dictated before."""
    if draw.random() >= VARIED:
        return sentence
    size, day = f"{draw.randint(2, 60)}.{draw.randint(0, 9)} mm", f"{draw.choice(MONTHS)} {draw.randint(1, 28)}"
    return draw.choice(
        (
            f"{sentence} {draw.choice(PLACES)}, {size}",
            f"Compared with {day}, {sentence[:1].lower()}{sentence[1:]}, now {size}",
            f"{sentence} since {day} by {size}",
        )
    )


def as_dictated(findings: str, impression: str) -> str:
    """A report as MIMIC-CXR lays it out."""
    return (
        "                                 FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n\n INDICATION:  ___-year-old"
        " with cough.\n\n COMPARISON:  ___.\n\n FINDINGS: \n \n"
        f" {findings}\n\n IMPRESSION: \n \n {impression}\n"
    )

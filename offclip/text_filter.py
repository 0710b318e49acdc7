"""OFF-CLIP's sentence-level text filter: normal sentences leave abnormal reports (figure of arXiv 2503.01794).

If any sentence of a report is abnormal the study is abnormal and only its abnormal sentences are kept; otherwise the
study is normal and everything is kept. The study's verdict is the pair label of the objective.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class FilteredReport:
    """``kept``: positions of the kept sentences; ``normal``: the pair label."""

    kept: tuple[int, ...]
    normal: bool


def filter_report(abnormal: Sequence[bool]) -> FilteredReport:
    """Apply the rule to one report.

    Args:
        abnormal: one truth value per sentence.

    Raises:
        ValueError: the report has no sentence, so it has no pair label.
    """
    if not len(abnormal):
        raise ValueError("Expected at least one sentence, found an empty report; leave such studies out.")
    kept = tuple(position for position, is_abnormal in enumerate(abnormal) if is_abnormal)
    return FilteredReport(kept or tuple(range(len(abnormal))), normal=not kept)

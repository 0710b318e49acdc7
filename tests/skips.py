"""What `make test` says of the tests that it skipped: how many, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest


def summary(reports: Iterable[pytest.TestReport | pytest.CollectReport]) -> list[str]:
    """A line of the count, and one for each reason with its own, the most frequent first."""
    reasons: Counter[str] = Counter()
    for report in reports:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason.removeprefix("Skipped: ")] += 1
    return [f"tests skipped: {reasons.total()}", *(f"  {n:4} {reason}" for reason, n in reasons.most_common())]

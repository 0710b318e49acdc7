"""Three ways to score normality, since the way can decide the ranking, and the check for inverted ones.

`prompt`: the similarity to the normal prompt alone (the published protocol). `one_minus_max`: 1 - the
greatest similarity to any finding's prompt (a constant does not change a ranking, so raw similarities do).
`contrast`: normal minus abnormal prompt. The first wording of benchmark/evaluation/prompts.yaml is the
published one; each further wording W gives `W` and `contrast:W`.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.errors import UserError
from benchmark.statistics.auc import Floats
from benchmark.statistics.inputs import FINDING, numbers

NORMAL, ABNORMAL = "normal:", "abnormal:"
MAIN = ("prompt", "one_minus_max", "contrast")


def normality_scores(table: pd.DataFrame, path: Path) -> dict[str, Floats]:
    """Every normality score of every picture, higher = more normal.

    Args:
        table: a scores file, columns as in docs/files.md.
        path: its file, for complaints.

    Returns:
        Name -> (n,) float64, the three main ones first.

    Raises:
        UserError: there is no normal prompt or no finding.
    """
    wordings = [str(name).removeprefix(NORMAL) for name in table if str(name).startswith(NORMAL)]
    findings = [str(name) for name in table if str(name).startswith(FINDING)]
    if not wordings or not findings:
        raise UserError(
            f"{path}: expected columns '{NORMAL}...' and '{FINDING}...', found none of one kind; score again."
        )
    normal = numbers(table, [NORMAL + wording for wording in wordings], path)
    abnormal = numbers(table, [ABNORMAL + wording for wording in wordings], path)
    scores = {
        "prompt": normal[:, 0],
        "one_minus_max": 1 - numbers(table, findings, path).max(axis=1),
        "contrast": normal[:, 0] - abnormal[:, 0],
    }
    for k, wording in enumerate(wordings[1:], start=1):
        scores[wording] = normal[:, k]
        scores[f"contrast:{wording}"] = normal[:, k] - abnormal[:, k]
    return scores


def is_inverted(high: float) -> bool:
    """True when the whole interval lies below chance: the ranking is there, with the wrong sign (1 - AUC)."""
    return high < 0.5

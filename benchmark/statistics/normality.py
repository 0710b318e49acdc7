"""Three ways to score normality, since the way can decide the ranking.

`prompt`: the similarity to the normal prompt alone (the published protocol). `one_minus_max`: 1 - the
greatest similarity to any finding's prompt (a constant does not change a ranking, so raw similarities do).
`contrast`: normal minus abnormal prompt. The first wordings of benchmark/evaluation/prompts.yaml make these;
a further normal wording W gives `W`, a further abnormal wording V gives `contrast:V`, taken from the normal
wording of the same name where there is one (ensembles), else from the first.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from benchmark.artifacts.scores import FINDING, numbers
from benchmark.common.errors import UserError
from benchmark.statistics.auc import Floats

NORMAL, ABNORMAL = "normal:", "abnormal:"


def normality_scores(table: pd.DataFrame, path: Path) -> dict[str, Floats]:
    """Every normality score of every image, higher = more normal.

    Args:
        table: a scores file, columns as in docs/files.md.
        path: its file, for complaints.

    Returns:
        Name -> (n,) float64, the three main ones first.

    Raises:
        UserError: there is no normal prompt, no abnormal prompt or no finding.
    """
    groups = {}
    for prefix in (NORMAL, ABNORMAL, FINDING):
        columns = [str(name) for name in table if str(name).startswith(prefix)]
        if not columns:
            raise UserError(f"{path}: expected columns '{prefix}...', found none; score again.")
        names = [column.removeprefix(prefix) for column in columns]
        groups[prefix] = dict(zip(names, numbers(table, columns, path).T, strict=True))
    normal, abnormal = groups[NORMAL], groups[ABNORMAL]
    published, opposite = next(iter(normal.values())), next(iter(abnormal.values()))
    scores = {
        "prompt": published,
        "one_minus_max": 1 - np.max(list(groups[FINDING].values()), axis=0),
        "contrast": published - opposite,
    }
    scores |= {wording: values for wording, values in list(normal.items())[1:]}
    for wording, values in list(abnormal.items())[1:]:
        scores[f"contrast:{wording}"] = normal.get(wording, published) - values
    return scores

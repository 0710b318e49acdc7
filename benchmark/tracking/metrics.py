"""The numbers and curves of a tracked run, named so that MLflow's charts make sense as they open.

MLflow opens a section of charts for everything before a name's last slash, in alphabetical order. So the means over the
datasets are `all/...`, each dataset's few headline numbers `vindr_cxr/...`, and their bounds, the other scores and
wordings `vindr_cxr detail/...`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from benchmark.artifacts import quantities, select
from benchmark.artifacts.columns import OVERALL, PUBLISHED
from benchmark.artifacts.evidence import Evidence

CURVES = ("loss", "validation_loss", "learning_rate")
CURVE_POINTS = 500
"""A longer training curve is thinned evenly to this many points; history.parquet is attached whole."""
HEADLINE = {quantity for quantity, _ in quantities.HEADLINE} | {
    "false_positive_rate_youden",
    "false_negative_rate_youden",
}
WHOLE = "all"
"""Section of what concerns all datasets; `overall` in results/."""
Points = list[tuple[int, float]]


def of_system(found: Evidence, system: str, seed: str) -> dict[str, float]:
    """Every macro number of a system and seed (``all``: the mean over seeds) with its bounds."""
    rows: list[tuple[str, str, select.Row]] = []
    auc = select.rows(found.results["auc"], system=system, seed=seed, finding="", progress=1.0)
    rows += [(row["dataset"], _named(row["quantity"], row["score"]), row) for row in auc.to_dict("records")]
    grounding = select.rows(found.results["grounding"], system=system, seed=seed, finding="", size="all")
    grounding = select.rows(grounding, heatmap=PUBLISHED)
    rows += [(row["dataset"], row["measure"], row) for row in grounding.to_dict("records")]
    errors = select.rows(found.results["operating"], system=system, seed=seed, score="prompt")
    rows += [(row["dataset"], _named(row["quantity"], rule=row["rule"]), row) for row in errors.to_dict("records")]
    values: dict[str, float] = {}
    means: dict[str, list[float]] = {}
    for dataset, name, row in rows:
        section = WHOLE if dataset == OVERALL else dataset
        detail = f"{section} detail/{name}"
        values[f"{section}/{name}" if name in HEADLINE else detail] = row["estimate"]
        values |= {f"{detail}_{key}": row[key] for key in ("low", "high", "chance") if key in row}
        if name in HEADLINE and section != WHOLE:
            means.setdefault(name, []).append(row["estimate"])
    whole = {f"{WHOLE}/{n}": sum(each) / len(each) for n, each in means.items() if len(each) == len(found.datasets)}
    return finite({**whole, **values})


def of_differences(found: Evidence) -> dict[str, float]:
    """The declared differences, a section a pair of systems; every other one is in the attached tables."""
    table = found.results["differences"]
    if table.empty:
        return {}
    declared = set(table.loc[table["p_holm"].notna(), ["a", "b"]].itertuples(index=False, name=None))
    values: dict[str, float] = {}
    for row in table.to_dict("records"):
        name = _named(row["quantity"], row["score"], row["rule"])
        if (row["a"], row["b"]) in declared and name in HEADLINE:
            dataset = WHOLE if row["dataset"] == OVERALL else row["dataset"]
            name = f"{row['a']} minus {row['b']}/{name} {dataset}"
            values |= {name: row["estimate"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
    return finite(values)


def of_ledger(ledger: Mapping[str, Any]) -> dict[str, float]:
    """What a run spent."""
    values = {f"ledger/{key}": value for key, value in ledger.get("spent", {}).items()}
    values |= {f"ledger/{key}": ledger[key] for key in ("steps", "parameters", "peak_memory_bytes") if key in ledger}
    return finite(values)


def training_curves(history: pd.DataFrame) -> dict[str, Points]:
    """Losses and learning rate by step."""
    curves = {}
    for name in CURVES:
        if name not in history:
            continue
        points = history.loc[history[name].notna(), ["step", name]]
        stride = math.ceil(len(points) / CURVE_POINTS) or 1
        thinned = pd.concat([points.iloc[::stride], points.iloc[-1:]]).drop_duplicates("step")
        curves[f"training/{name}"] = _points(thinned["step"], thinned[name])
    return curves


def budget_curves(found: Evidence, system: str, seed: str) -> dict[str, Points]:
    """Prompt AUCs against the share of the budget spent; the step is that share in per cent."""
    rows = select.rows(found.results["auc"], system=system, seed=seed, finding="", score=("", "prompt"))
    if rows.empty:
        return {}
    rows = rows[rows["quantity"].isin(HEADLINE) & rows["dataset"].isin(found.datasets)].sort_values("progress")
    return {
        f"budget/{dataset} {quantity}": _points((group["progress"] * 100).round(), group["estimate"])
        for (dataset, quantity), group in rows.groupby(["dataset", "quantity"], sort=True)
    }


def finite(values: Mapping[str, Any]) -> dict[str, float]:
    """Numbers that MLflow can hold: neither missing nor infinite."""
    return {key: float(value) for key, value in values.items() if value is not None and math.isfinite(float(value))}


def _named(quantity: str, score: str = "", rule: str = "") -> str:
    """``normal_auc``, ``normal_auc_contrast``, ``false_positive_rate_youden``."""
    return "_".join(part for part in (quantity, "" if score == "prompt" else score, rule) if part)


def _points(steps: Iterable[Any], values: Iterable[Any]) -> Points:
    return [(int(s), float(v)) for s, v in zip(steps, values, strict=True) if math.isfinite(float(v))]

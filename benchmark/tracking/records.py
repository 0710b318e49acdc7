"""What a tracked run holds, read from the pipeline's files; knows nothing of MLflow.

A parent record is a system, its children are that system's seeds; one more record holds the reports.
A record's hash is that of its content, so the same results are the same runs wherever they are logged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from benchmark import files, layout
from benchmark.evidence import Evidence, Run

CURVES = ("loss", "validation_loss", "learning_rate")
CURVE_POINTS = 500
"""A longer training curve is thinned evenly to this many points; history.parquet is attached whole."""
PARAM_LENGTH = 6000
"""MLflow's limit for a parameter's value, characters."""
Kind = Literal["system", "seed", "report"]


@dataclass(frozen=True)
class Artifact:
    """A file to attach: its place in the run, and a path or text."""

    place: str
    source: Path | str
    digest: str = ""
    """Known hash of the content; computed where empty."""

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the content, or the digest that was given."""
        if self.digest:
            return self.digest
        return files.sha256_file(self.source) if isinstance(self.source, Path) else files.sha256_json(self.source)


@dataclass(frozen=True)
class DatasetUse:
    """A cohort that a run trained on or was evaluated on."""

    name: str
    fingerprint: str
    context: Literal["training", "evaluation"]
    source: str
    pictures: int


@dataclass(frozen=True)
class Record:
    """One MLflow run to be."""

    kind: Kind
    name: str
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """Name to (step, value) points."""
    tags: dict[str, str] = field(default_factory=dict)
    datasets: tuple[DatasetUse, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    children: tuple[Record, ...] = ()
    seconds: float = 0.0
    """Device time spent, shown as the run's duration."""

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over everything the run will show, its children included."""
        return files.sha256_json(
            {
                "kind": self.kind,
                "name": self.name,
                "params": self.params,
                "metrics": self.metrics,
                "curves": self.curves,
                "tags": self.tags,
                "datasets": [[d.name, d.fingerprint, d.context] for d in self.datasets],
                "artifacts": sorted([a.place, a.content_hash] for a in self.artifacts),
                "children": [child.content_hash for child in self.children],
            }
        )

    def child_key(self, child: Record) -> str:
        """Hash that finds a child again: a new parent gets its own children, an old one keeps its own."""
        return files.sha256_json([self.content_hash, child.content_hash])


def collect(found: Evidence) -> list[Record]:
    """Every run the store should hold: systems with their seeds, then the reports."""
    systems = dict.fromkeys([*found.settings.compare, *found.settings.ablation])
    return [*(_system(found, name) for name in systems), _report(found)]


def listing(experiment: str, wanted: Sequence[Record]) -> dict[str, Any]:
    """tracked.json: the runs by name and content hash; the same results give the same bytes."""
    runs = []
    for record in wanted:
        runs.append({"kind": record.kind, "name": record.name, "content_hash": record.content_hash})
        runs += [{"kind": c.kind, "name": c.name, "content_hash": record.child_key(c)} for c in record.children]
    return {"experiment": experiment, "runs": runs}


def _system(found: Evidence, system: str) -> Record:
    runs = found.runs_of(system)
    children = tuple(_seed(found, run) for run in runs)
    return Record(
        kind="system",
        name=found.label(system),
        params=_params(system),
        metrics=_metrics(found, system, "all"),
        curves=_budget_curves(found, system, "all"),
        tags={"system": system, "role": "compared" if system in found.settings.compare else "ablation"},
        datasets=_datasets(found),
        artifacts=_tables(found, system, "all"),
        children=children,
        seconds=sum(child.seconds for child in children),
    )


def _seed(found: Evidence, run: Run) -> Record:
    ledger = run.ledger
    model = run.folder / "model.safetensors"
    kept = [Artifact("model", model, str(ledger.get("weights_hash", "")))] if model.exists() else []
    kept += [
        Artifact("ledger", path)
        for path in (run.folder / "ledger.json", run.folder / "history.parquet", run.scores / "score.json")
        if path.exists()
    ]
    seconds = float(ledger.get("spent", {}).get("device_seconds", 0.0))
    return Record(
        kind="seed",
        name=f"{found.label(run.system)}, seed {run.seed}",
        params={**_params(run.system), "seed": str(run.seed)},
        metrics={**_metrics(found, run.system, str(run.seed)), **_ledger_metrics(ledger)},
        curves={**_training_curves(run.history), **_budget_curves(found, run.system, str(run.seed))},
        tags={"system": run.system, "seed": str(run.seed), **_flat(_described(ledger))},
        datasets=_datasets(found),
        artifacts=(*kept, *_tables(found, run.system, str(run.seed))),
        seconds=seconds,
    )


def _report(found: Evidence) -> Record:
    folders = {"reports": layout.REPORTS, "tables": layout.REPORTS / "tables", "figures": layout.REPORTS / "figures"}
    folders |= {"results": layout.RESULTS}
    attached = [
        Artifact(place, path)
        for place, folder in folders.items()
        for path in sorted(folder.glob("*"))
        if path.is_file() and path.suffix in {".pdf", ".csv", ".md", ".tex", ".svg", ".png", ".json"}
    ]
    cards = [Artifact(f"cohort/{name}", layout.cohort(name) / "card.json") for name in sorted(found.cards)]
    return Record(
        kind="report",
        name="Reports and tables",
        metrics=_difference_metrics(found),
        tags={"compared": ", ".join(found.settings.compare)},
        datasets=_datasets(found),
        artifacts=(*attached, *cards),
    )


def _params(system: str) -> dict[str, str]:
    path = layout.plan(system)
    if not path.exists():
        return {}
    plan = {key: value for key, value in files.read_json(path).items() if key != "code"}
    return {key: value[:PARAM_LENGTH] for key, value in _flat(plan).items()}


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested mappings as ``outer.inner`` names with text values; empty ones are left out."""
    flat: dict[str, str] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            flat |= _flat(inner, f"{prefix}{key}.")
        elif inner not in (None, ""):
            flat[f"{prefix}{key}"] = str(inner)
    return flat


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in values.items() if value is not None and math.isfinite(float(value))}


def _described(ledger: Mapping[str, Any]) -> dict[str, Any]:
    return {key: ledger[key] for key in ("hardware", "precision", "threads", "world_size", "versions") if key in ledger}


def _ledger_metrics(ledger: Mapping[str, Any]) -> dict[str, float]:
    values = {f"ledger/{key}": value for key, value in ledger.get("spent", {}).items()}
    values |= {f"ledger/{key}": ledger[key] for key in ("steps", "parameters", "peak_memory_bytes") if key in ledger}
    return _finite(values)


def _select(table: pd.DataFrame, **equal: Any) -> pd.DataFrame:
    """Rows whose columns equal the values given; nothing from an empty table."""
    if table.empty:
        return table
    for name, value in equal.items():
        table = table[table[name] == value]
    return table


def _metrics(found: Evidence, system: str, seed: str) -> dict[str, float]:
    """Headline numbers with interval bounds: ``vindr_cxr/normal_auc``, ``..._low``, ``..._high``."""
    rows: list[tuple[str, Mapping[Any, Any]]] = []
    auc = _select(found.results["auc"], system=system, seed=seed, finding="", progress=1.0)
    for row in auc.to_dict("records"):
        suffix = "" if row["score"] in ("", "prompt") else f"_{row['score']}"
        rows.append((f"{row['dataset']}/{row['quantity']}{suffix}", row))
    grounding = _select(found.results["grounding"], system=system, seed=seed, finding="", size="all")
    rows += [(f"{hit['dataset']}/{hit['measure']}", hit) for hit in grounding.to_dict("records")]
    operating = _select(found.results["operating"], system=system, seed=seed, score="prompt")
    for error in operating.to_dict("records"):
        suffix = f"_{error['rule']}" if error["rule"] else ""
        rows.append((f"{error['dataset']}/{error['quantity']}{suffix}", error))
    values: dict[str, Any] = {}
    for name, values_of in rows:
        values |= {name: values_of["estimate"], f"{name}_low": values_of["low"], f"{name}_high": values_of["high"]}
        if "chance" in values_of:
            values[f"{name}_chance"] = values_of["chance"]
    return _finite(values)


def _difference_metrics(found: Evidence) -> dict[str, float]:
    values: dict[str, Any] = {}
    for row in found.results["differences"].to_dict("records"):
        suffix = "" if row["score"] in ("", "prompt") else f"_{row['score']}"
        suffix += f"_{row['rule']}" if row["rule"] else ""
        name = f"{row['dataset']}/{row['quantity']}{suffix} {row['a']} - {row['b']}"
        values |= {name: row["estimate"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
    return _finite(values)


def _training_curves(history: pd.DataFrame) -> dict[str, list[tuple[int, float]]]:
    curves = {}
    for name in CURVES:
        if name not in history:
            continue
        points = history.loc[history[name].notna(), ["step", name]]
        stride = math.ceil(len(points) / CURVE_POINTS) or 1
        thinned = pd.concat([points.iloc[::stride], points.iloc[-1:]]).drop_duplicates("step")
        curves[f"training/{name}"] = _points(thinned["step"], thinned[name])
    return curves


def _budget_curves(found: Evidence, system: str, seed: str) -> dict[str, list[tuple[int, float]]]:
    """Prompt AUCs against the share of the budget spent; the step is that share in per cent."""
    rows = _select(found.results["auc"], system=system, seed=seed, finding="")
    if rows.empty:
        return {}
    rows = rows[rows["score"].isin(["", "prompt"])].sort_values("progress")
    return {
        f"{dataset}/budget_curve_{quantity}": _points((group["progress"] * 100).round(), group["estimate"])
        for (dataset, quantity), group in rows.groupby(["dataset", "quantity"], sort=True)
    }


def _points(steps: Iterable[Any], values: Iterable[Any]) -> list[tuple[int, float]]:
    return [(int(s), float(v)) for s, v in zip(steps, values, strict=True) if math.isfinite(float(v))]


def _datasets(found: Evidence) -> tuple[DatasetUse, ...]:
    return tuple(
        DatasetUse(
            name=name,
            fingerprint=str(card["fingerprint"]),
            context="training" if name == layout.TRAINING_DATASET else "evaluation",
            source=str(layout.cohort(name)),
            pictures=int(card["counts"]["pictures"]),
        )
        for name, card in found.cards.items()
    )


def _tables(found: Evidence, system: str, seed: str) -> tuple[Artifact, ...]:
    """Per-finding AUC and grounding of one system and seed, as CSV."""
    made = []
    for stem in ("auc", "grounding"):
        rows = _select(found.results[stem], system=system, seed=seed)
        rows = rows[rows["finding"] != ""] if not rows.empty else rows
        if not rows.empty:
            made.append(Artifact(f"tables/per_finding_{stem}.csv", rows.to_csv(index=False, lineterminator="\n")))
    return tuple(made)

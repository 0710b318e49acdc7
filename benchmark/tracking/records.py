"""What a tracked run holds, read from the pipeline's files; knows nothing of MLflow.

A parent record is a system, its children are that system's seeds; one more record holds the reports.
Reports come first and the compared systems last, for MLflow lists the newest first.
A record's hash is that of its content, so the same results are the same runs wherever they are logged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from benchmark.artifacts import reading, select
from benchmark.artifacts.evidence import Evidence, Run
from benchmark.common import files
from benchmark.pipeline import layout
from benchmark.tracking import metrics

LARGE = 4 << 20
"""Bytes; of larger weights a store is told where they lie and what they are, and gets no copy."""
PARAM_LENGTH = 6000
"""MLflow's limit for a parameter's value, characters."""
ROLES = {"compare": "compared", "scratch": "from scratch", "ablation": "ablation"}
"""Group of params.yaml -> the tag `role`."""
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
    images: int


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
    """Every run the store should hold, the reports first and the last system of `compare` last."""
    systems = [*found.settings.compare[::-1], *found.settings.scratch, *found.settings.ablation]
    return [_report(found), *(_system(found, name) for name in systems[::-1])]


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
        metrics=metrics.of_system(found, system, "all"),
        curves=metrics.budget_curves(found, system, "all"),
        tags={"system": system, "role": ROLES[found.settings.group_of(system)]},
        datasets=_datasets(found),
        artifacts=_tables(found, system, "all"),
        children=children,
        seconds=sum(child.seconds for child in children),
    )


def _seed(found: Evidence, run: Run) -> Record:
    ledger = run.ledger
    model = run.folder / "model.safetensors"
    kept = [_weights(model, str(ledger.get("weights_hash", "")))] if model.exists() else []
    kept += [
        Artifact("ledger", path)
        for path in (run.folder / "ledger.json", run.folder / "history.parquet", run.scores_folder / "score.json")
        if path.exists()
    ]
    seconds = float(ledger.get("spent", {}).get("device_seconds", 0.0))
    return Record(
        kind="seed",
        name=f"{found.label(run.system)}, seed {run.seed}",
        params={**_params(run.system), "seed": str(run.seed)},
        metrics={**metrics.of_system(found, run.system, str(run.seed)), **metrics.of_ledger(ledger)},
        curves={**metrics.training_curves(run.history), **metrics.budget_curves(found, run.system, str(run.seed))},
        tags={"system": run.system, "seed": str(run.seed), **_flat(_described(ledger))},
        datasets=_datasets(found),
        artifacts=(*kept, *_tables(found, run.system, str(run.seed))),
        seconds=seconds,
    )


def _weights(model: Path, digest: str) -> Artifact:
    """The weights of a run, or where they lie: DVC keeps them, and a store need not keep gigabytes once more."""
    size = model.stat().st_size
    if size <= LARGE:
        return Artifact("model", model, digest)
    reference = {
        "path": model.as_posix(),
        "bytes": size,
        "sha256": digest or files.sha256_file(model),
        "load": f"baselines.base.restore('{model.as_posix()}')",
    }
    return Artifact("model/reference.json", json.dumps(reference, indent=2) + "\n")


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
        metrics=metrics.of_differences(found),
        tags={"compared": ", ".join(found.settings.compare)},
        datasets=_datasets(found),
        artifacts=(*attached, *cards),
    )


def _params(system: str) -> dict[str, str]:
    path = layout.plan(system)
    if not path.exists():
        return {}
    plan = {key: value for key, value in reading.read_json(path).items() if key != "code"}
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


def _described(ledger: Mapping[str, Any]) -> dict[str, Any]:
    return {key: ledger[key] for key in ("hardware", "precision", "threads", "world_size", "versions") if key in ledger}


def _datasets(found: Evidence) -> tuple[DatasetUse, ...]:
    return tuple(
        DatasetUse(
            name=name,
            fingerprint=str(card["fingerprint"]),
            context="training" if name == layout.TRAINING_DATASET else "evaluation",
            source=str(layout.cohort(name)),
            images=int(card["counts"]["images"]),
        )
        for name, card in found.cards.items()
    )


def _tables(found: Evidence, system: str, seed: str) -> tuple[Artifact, ...]:
    """Per-finding AUC and grounding of one system and seed, as CSV."""
    made = []
    for stem in ("auc", "grounding"):
        rows = select.rows(found.results[stem], system=system, seed=seed)
        rows = rows[rows["finding"] != ""] if not rows.empty else rows
        if not rows.empty:
            made.append(Artifact(f"tables/per_finding_{stem}.csv", rows.to_csv(index=False, lineterminator="\n")))
    return tuple(made)

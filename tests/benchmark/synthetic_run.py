"""A small but complete set of the files that scoring leaves behind, for tests of `measure`, `report` and `track`.

Every file of docs/files.md from data/cohort/ to probe/ is written with the published column names and
plausible numbers: findings are drawn per patient, a system's score is ``skill * label + noise``. The
systems differ in skill alone (OFF-CLIP ranks normals best), so a test knows what it must find.

    settings = synthetic_run.write(tmp_path)      # then chdir(tmp_path) and run a stage

Over 300 lines on purpose: one writer for each file, which must agree with one another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from benchmark.artifacts.columns import CELL, PUBLISHED
from benchmark.common import files
from benchmark.pipeline import layout, settings
from tests.repository import REPOSITORY

FINDINGS = {
    "mimic_cxr": ["Atelectasis", "Cardiomegaly", "Pleural Effusion"],
    "vindr_cxr": ["Aortic enlargement", "Cardiomegaly", "Nodule/Mass", "Pleural effusion", "Rib fracture"],
    "open_i": ["Atelectasis", "Cardiomegaly", "Pleural Effusion", "Calcified Granuloma"],
    "chexpert": ["Cardiomegaly", "Edema", "Pleural Effusion", "Fracture"],
    "padchest": ["cardiomegaly", "pleural effusion", "scoliosis", "nodule", "hernia"],
}
KIND = {"mimic_cxr": "zone", "vindr_cxr": "box", "open_i": "zone", "chexpert": "mask", "padchest": "zone"}
NORMAL_WORDINGS = ("no_finding", "clear_lungs", "ensemble")
ABNORMAL_WORDINGS = ("abnormality", "disease", "ensemble")
SNAPSHOTS = (0.25, 0.5)
REFERENCE_HITS = 0.7
"""How often the supervised reference points right."""


@dataclass(frozen=True)
class Skill:
    """How far a system moves a positive's score, in standard deviations of the noise."""

    normal: float
    finding: float
    one_minus_max: float = 1.0
    """Sign and size of what normality takes off every finding's score."""


SKILL = {"clip": Skill(0.6, 0.9), "carzero": Skill(0.9, 1.2), "offclip": Skill(2.2, 1.2, -2.5)}


def cohort(dataset: str, images: int, generator: np.random.Generator) -> pd.DataFrame:
    """An index.parquet: patients of one to three images (VinDr: a patient an image), a rare last finding."""
    sizes = np.ones(images, int) if dataset == "vindr_cxr" else generator.integers(1, 4, images)
    patient = np.repeat(np.arange(len(sizes)), sizes)[:images]
    normal = generator.random(patient.max() + 1)[patient] < 0.5
    table = pd.DataFrame({"image_id": [f"{dataset}-{i:05d}" for i in range(images)]})
    table["path"] = table.image_id + ".png"
    table["patient_id"] = [f"p{p:05d}" for p in patient] if dataset != "vindr_cxr" else table.image_id
    table["study_id"] = table["image_id" if dataset == layout.TRAINING_DATASET else "patient_id"]
    table["split"] = np.where(patient % 4 == 0, "validate", "train") if dataset == layout.TRAINING_DATASET else "test"
    table["view"] = generator.choice(["PA", "AP"], images)
    table["height"] = np.int32(2048)
    table["width"] = np.int32(1792)
    table["report"] = ""
    table["normal"] = pd.array(normal.astype(int), dtype="Int8")
    for k, finding in enumerate(FINDINGS[dataset]):
        rare = k == len(FINDINGS[dataset]) - 1
        positive = ~normal & (generator.random(images) < (0.03 if rare else 0.4))
        table[f"label:{finding}"] = pd.array(positive.astype(int), dtype="Int8")
    return table


def scored(index: pd.DataFrame, skill: Skill, strength: float, generator: np.random.Generator) -> pd.DataFrame:
    """A scores/<system>-<seed>/<dataset>.parquet: float32 similarities whose AUC grows with ``strength``."""
    normal = index["normal"].to_numpy(float)
    table = pd.DataFrame({"image_id": index.image_id})

    def column(signal: np.ndarray) -> np.ndarray:
        return (strength * signal + generator.normal(size=len(index))).astype(np.float32)

    for finding in (str(name).removeprefix("label:") for name in index if str(name).startswith("label:")):
        signal = skill.finding * index[f"label:{finding}"].to_numpy(float) - 0.3 * skill.one_minus_max * normal
        table[f"finding:{finding}"] = column(signal)
    for k, wording in enumerate(NORMAL_WORDINGS):
        table[f"normal:{wording}"] = column((1 - 0.2 * k) * skill.normal * normal)
    for wording in ABNORMAL_WORDINGS:
        table[f"abnormal:{wording}"] = column(0.5 * skill.normal * (1 - normal))
    return table


def pointing(
    dataset: str,
    index: pd.DataFrame,
    hit_rate: float,
    generator: np.random.Generator,
    sizes: np.ndarray,
    heatmap: str = PUBLISHED,
) -> pd.DataFrame:
    """Rows of pointing.parquet: one per image and positive finding; ``sizes`` are those of the regions."""
    tables = []
    for finding in FINDINGS[dataset]:
        chosen = (index[f"label:{finding}"] == 1).to_numpy()
        columns = {"dataset": dataset, "image_id": index.image_id[chosen], "finding": finding}
        columns |= {"heatmap": heatmap, "kind": KIND[dataset]}
        tables.append(pd.DataFrame(columns | {"size": sizes[chosen]}))
    table = pd.concat(tables, ignore_index=True)
    table["chance"] = table["size"].astype(np.float32)
    table["hit"] = (generator.random(len(table)) < hit_rate).astype(np.int8)
    table["cnr"] = generator.normal(hit_rate, 0.5, len(table)).astype(np.float32)
    table["miou"] = np.clip(generator.normal(hit_rate / 3, 0.1, len(table)), 0, 1).astype(np.float32)
    table["size"] = table["size"].astype(np.float32)
    return table[["dataset", "image_id", "finding", "heatmap", "kind", "hit", "chance", "cnr", "miou", "size"]]


def params(
    replicates: int, seeds: list[int], systems: list[str], ablation: list[str], scratch: list[str]
) -> dict[str, Any]:
    """The repository's own params.yaml with fewer replicates, seeds and systems."""
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    values["statistics"] |= {"replicates": replicates}
    values["budget"] = {"unit": "flops", "amount": 2.0e12}  # what the ledgers below have spent
    groups = {"compare": systems, "scratch": scratch, "ablation": ablation}
    return values | groups | {"seeds": seeds, "scratch_seeds": seeds, "ablation_seeds": seeds[:2]}


def write(
    root: Path,
    *,
    images: int | Mapping[str, int] = 240,
    replicates: int = 200,
    seeds: tuple[int, ...] = (0, 1),
    systems: tuple[str, ...] = ("clip", "carzero", "offclip"),
    ablation: tuple[str, ...] = ("carzero_filter", "clip_offclip"),
    scratch: tuple[str, ...] = (),
    released: tuple[str, ...] = (),
    snapshots: tuple[float, ...] = SNAPSHOTS,
    profile: Mapping[str, Any] | None = None,
) -> settings.Settings:
    """Write params.yaml, data/cohort, plan, runs, scores and probe below ``root``; return the settings.

    Args:
        root: an empty directory.
        images: per dataset, the same number or each its own.
        replicates: of the bootstrap.
        seeds: of every system.
        systems: what is compared.
        ablation: rows of the ablation.
        scratch: systems that start from random weights.
        released: those of ``systems`` that come from a checkpoint, as ``train`` and ``score`` leave such a run.
        snapshots: ``training.snapshots``.
        profile: definitions of systems that params.yaml does not have.
    """
    values = params(replicates, list(seeds), list(systems), list(ablation), list(scratch))
    values["training"] |= {"snapshots": list(snapshots)}
    for name in released:
        label = f"{values['systems'].get(name, {'label': name})['label']} (released)"
        values["systems"][name] = {"label": label, "model": "published", "checkpoint": f"{name}.ckpt"}
    values["systems"] |= profile or {}
    (root / layout.PARAMS).write_text(yaml.safe_dump(values, sort_keys=False))
    generator = np.random.default_rng(0)
    indices, sizes = {}, {}
    for dataset in layout.DATASETS:
        count = images if isinstance(images, int) else images[dataset]
        indices[dataset] = index = cohort(dataset, count, generator)
        sizes[dataset] = generator.uniform(0.01, 0.3, count)
        _write_cohort(root / layout.cohort(dataset), dataset, index)
    _write_captions(root / layout.CAPTIONS, indices[layout.TRAINING_DATASET])
    for system in (*systems, *scratch, *ablation):
        files.write_json(root / layout.plan(system), _plan(system, values))
        for seed in seeds[:2] if system in ablation else seeds:
            _write_run(root / layout.run(system, seed), system, seed, values)
            kept = () if system in released else snapshots
            _write_scores(root / layout.scores(system, seed), system, seed, indices, sizes, kept)
    hits = []
    for dataset in layout.EVALUATION_DATASETS:
        _write_probe(root / layout.PROBE, dataset, indices[dataset])
        hits.append(pointing(dataset, indices[dataset], REFERENCE_HITS, generator, sizes[dataset], CELL))
    files.write_parquet(root / layout.PROBE / "pointing.parquet", pd.concat(hits, ignore_index=True))
    hashes = {dataset: f"cohort-{dataset}" for dataset in layout.DATASETS}
    files.write_json(root / layout.PROBE / "probe.json", {"samples": 60000, "cohort_hash": hashes})
    return settings.parse(values)


def _write_cohort(folder: Path, dataset: str, index: pd.DataFrame) -> None:
    files.write_parquet(folder / "index.parquet", index)
    files.write_parquet(
        folder / "regions.parquet",
        pd.DataFrame(
            columns=["image_id", "finding", "kind", "x_min", "y_min", "x_max", "y_max", "rle", "side", "zone"]
        ),
    )
    np.save(folder / "images.npy", np.zeros((len(index), 8, 8), np.uint8))
    findings = FINDINGS[dataset]
    card = {
        "dataset": dataset,
        "phantom": True,
        "credentialed": False,
        "share_examples": False,
        "release": "phantom",
        "findings": findings,
        "counts": {
            "images": len(index),
            "studies": index.study_id.nunique(),
            "patients": index.patient_id.nunique(),
            "normal": int((index["normal"] == 1).sum()),
            "abnormal": int((index["normal"] == 0).sum()),
        },
        "prevalence": {finding: int((index[f"label:{finding}"] == 1).sum()) for finding in findings},
        "shares": _shares(index, findings) if dataset != layout.TRAINING_DATASET else None,
        "views": {view: int(count) for view, count in index["view"].value_counts().sort_index().items()},
        "labels": "all",
        "grounding_truth": KIND[dataset],
        "cluster": "image" if dataset == "vindr_cxr" else "patient",
        "exclusions": [],
        "decode": "faithful",
        "size": 8,
        "fingerprint": f"cohort-{dataset}",
    }
    files.write_json(folder / "card.json", card)


def _write_captions(folder: Path, index: pd.DataFrame) -> None:
    """A sentence for each study, which says what its report says."""
    studies = index[["study_id", "normal"]].astype({"normal": bool})
    files.write_parquet(folder / "studies.parquet", studies)
    sentences = studies.assign(position=np.int32(0), text=np.where(studies["normal"], "Clear lungs.", "Effusion."))
    files.write_parquet(folder / "sentences.parquet", sentences)


def _plan(system: str, values: dict[str, Any]) -> dict[str, Any]:
    chosen = values["systems"][system]
    return {
        "system": system,
        "objective_options": {},
        "model_options": {},
        "checkpoint": None,
        **chosen,
        "training": values["training"],
        "budget": values["budget"],
        "encoders": values["encoders"],
        "phantom": True,
        "code": {},
        "code_hash": f"code-{chosen['model']}",
    }


def _write_run(folder: Path, system: str, seed: int, values: dict[str, Any]) -> None:
    trained = values["systems"][system].get("checkpoint") is None
    steps = np.arange(1, 21 if trained else 1)
    history = pd.DataFrame(
        {
            "step": steps,
            "progress": steps / 20,
            "loss": 4.0 * np.exp(-steps / 15),
            "learning_rate": 2e-3 * np.sin(np.pi * steps / 21),
            "validation_loss": np.where(steps % 5 == 0, 4.1 * np.exp(-steps / 15), np.nan),
            "samples": steps * 64,
            "flops": steps * 1e11,
            "device_seconds": steps * 0.2,
        }
    )
    files.write_parquet(folder / "history.parquet", history)
    ledger = {
        "system": system,
        "seed": seed,
        "budget": values["budget"],
        "spent": {"flops": 2.0e12, "device_seconds": 4.0 + seed, "samples": 1280}
        if trained
        else dict.fromkeys(("flops", "device_seconds", "samples"), 0.0),
        "steps": len(steps),
        "parameters": 250_000,
        "peak_memory_bytes": 400_000_000,
        "hardware": "synthetic CPU",
        "versions": {"torch": "2.13.0"},
        "precision": "float32",
        "threads": 2,
        "world_size": 1,
        "resumed": 0,
        "plan_hash": f"plan-{system}",
        "weights_hash": f"weights-{system}-{seed}",
    }
    files.write_json(folder / "ledger.json", ledger)


def _write_scores(
    folder: Path,
    system: str,
    seed: int,
    indices: dict[str, pd.DataFrame],
    sizes: dict[str, np.ndarray],
    snapshots: tuple[float, ...],
) -> None:
    skill = SKILL.get(system, SKILL["carzero"])
    generator = np.random.default_rng([seed, *system.encode()])
    strength = 1 + 0.05 * generator.normal()
    curve, hits = [], []
    for dataset, index in indices.items():
        chosen = index[index.split != "train"].reset_index(drop=True)
        files.write_parquet(folder / f"{dataset}.parquet", scored(chosen, skill, strength, generator))
        if dataset == layout.TRAINING_DATASET:
            continue
        for progress in snapshots:
            table = scored(chosen, skill, strength * progress, generator)
            curve.append(table.assign(dataset=dataset, progress=progress))
        hits.append(pointing(dataset, chosen, min(0.2 + 0.3 * skill.finding, 0.9), generator, sizes[dataset]))
    none = pd.DataFrame(columns=["image_id", "dataset", "progress"])  # as `score` leaves it
    files.write_parquet(folder / "curve.parquet", pd.concat(curve, ignore_index=True) if curve else none)
    files.write_parquet(folder / "pointing.parquet", pd.concat(hits, ignore_index=True))
    images = indices[layout.TRAINING_DATASET].query("split == 'validate'")
    normal, n = images["normal"].to_numpy(bool), len(images)
    logits = generator.normal(size=(n, n)) + 3 * np.eye(n) + skill.normal * np.outer(normal, normal)
    embedding = generator.normal(size=(n, 16)) + skill.normal * np.outer(normal, np.ones(16))
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "similarity.npz",
        logits=logits.astype(np.float32),
        normal=normal,
        image_embedding=embedding.astype(np.float32),
    )
    score = {
        "system": system,
        "seed": seed,
        "prompts_hash": "prompts",
        "cohort_hash": {dataset: f"cohort-{dataset}" for dataset in indices},
        "weights_hash": f"weights-{system}-{seed}",
        "code_hash": "code",
        "precision": "float32",
    }
    files.write_json(folder / "score.json", score)


def _shares(index: pd.DataFrame, findings: list[str]) -> dict[str, object]:
    """A phantom set with half its images in bed, and a table that names no views."""
    prevalence = {finding: float((index[f"label:{finding}"] == 1).mean()) for finding in findings}
    phantom = {
        "source": "images",
        "images": len(index),
        "normal": 0.5,
        "ap": 0.5,
        "ap_normal": 0.25,
        "ap_abnormal": 0.75,
    }
    table = {"source": "1,000 rows", "images": 1000, "normal": 0.4, "ap": None, "ap_normal": None, "ap_abnormal": None}
    return {"phantom": phantom | {"prevalence": prevalence}, "table": table | {"prevalence": prevalence}}


def _write_probe(folder: Path, dataset: str, index: pd.DataFrame) -> None:
    table = scored(index, Skill(3.0, 2.5), 1.0, np.random.default_rng(99))
    findings = [name for name in table if str(name).startswith("finding:")]
    table["normal"] = table[f"normal:{NORMAL_WORDINGS[0]}"]
    table["thumbnail"] = table["normal"] + np.random.default_rng(98).normal(0, 5 * table["normal"].std(), len(table))
    files.write_parquet(folder / f"{dataset}.parquet", table[["image_id", *findings, "normal", "thumbnail"]])

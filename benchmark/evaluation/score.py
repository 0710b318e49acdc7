"""``python -m benchmark score --system NAME --seed N``: what one trained system says about every picture.

One process restores the model once and scores the four evaluation sets, the validation split (thresholds are fitted
there) and, on the evaluation sets, the snapshots of the budget curve. It reads data/cohort, data/captions and runs/,
and writes scores/<system>-<seed>/ (docs/files.md). No label of an evaluation set is looked at.
"""

from __future__ import annotations

import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from benchmark import files, layout, plan, settings
from benchmark.evaluation import cohort as cohorts
from benchmark.evaluation import examples, grounding, prompts
from benchmark.evaluation.cohort import Cohort
from benchmark.evaluation.pairs import validation_pairs
from benchmark.evaluation.prompts import Prompt
from benchmark.evaluation.regions import Region
from benchmark.evaluation.surface import Placement
from benchmark.evaluation.zero_shot import Scorer, require_finite
from benchmark.progress import say

SNAPSHOT = re.compile(r"snapshot-(\d+)\.safetensors")


@dataclass(frozen=True, eq=False)
class Example:
    """One heatmap to be shown."""

    region: Region
    heatmap: NDArray[np.float32]
    """(h, w) over the cached square."""
    row: int
    """The picture's row in images.npy."""
    placement: Placement
    hit: bool


@dataclass(frozen=True, eq=False)
class Scores:
    """What one model says about one dataset."""

    table: pd.DataFrame
    """image_id and one float32 column per prompt, in the order of the index."""
    pointing: pd.DataFrame
    """One row per picture and grounded finding."""
    examples: list[Example]


def score(scorer: Scorer, cohort: Cohort, columns: list[Prompt], what: str) -> pd.DataFrame:
    """Score every picture against every prompt.

    Args:
        scorer: the model.
        cohort: the pictures.
        columns: of ``prompts.resolve``.
        what: for error messages, e.g. ``carzero-0 on vindr_cxr``.

    Raises:
        UserError: a similarity is not finite.
    """
    return score_and_ground(scorer, cohort, columns, what, [], 0.0).table


def score_and_ground(
    scorer: Scorer, cohort: Cohort, columns: list[Prompt], what: str, regions: list[Region], tolerance: float
) -> Scores:
    """Score every picture, and measure the heatmaps of ``regions`` while its features are at hand.

    Args:
        scorer: the model.
        cohort: the pictures.
        columns: of ``prompts.resolve``.
        what: for error messages, e.g. ``carzero-0 on vindr_cxr``.
        regions: the grounding truth; [] measures none.
        tolerance: of the pointing game, pixels of the original.

    Raises:
        UserError: a similarity or a heatmap is not finite.
    """
    sentences = prompts.sentences_of(columns)
    texts = scorer.encode(sentences)
    sentence_of = {prompt.column.removeprefix("finding:"): sentences.index(prompt.sentences[0]) for prompt in columns}
    by_picture: dict[str, list[Region]] = {}
    for region in regions:
        by_picture.setdefault(region.image_id, []).append(region)
    shown = {(region.image_id, region.finding) for region in examples.choose(regions)}

    similarities = np.empty((len(cohort.rows), len(sentences)), np.float32)
    hits: list[dict[str, Any]] = []
    kept: list[Example] = []
    for place, images in scorer.batches(cohort.pictures, cohort.rows):
        similarities[place] = scorer.similarity(images, texts)
        batch = cohort.index.iloc[place]
        grounded = [i for i, image_id in enumerate(batch["image_id"]) if image_id in by_picture]
        if not grounded:
            continue
        findings = sorted({region.finding for i in grounded for region in by_picture[batch["image_id"].iloc[i]]})
        asked = torch.tensor([sentence_of[finding] for finding in findings], device=scorer.model.device)
        chosen = torch.tensor(grounded, device=scorer.model.device)
        maps = scorer.heatmaps(images[chosen], texts[asked])
        for i, of_picture in zip(grounded, maps, strict=True):
            picture = batch.iloc[i]
            own = by_picture[picture["image_id"]]
            heatmaps = of_picture[[findings.index(region.finding) for region in own]]
            require_finite(
                heatmaps.reshape(len(own), -1).sum(axis=1, keepdims=True),
                f"{what}, heatmaps of '{picture['image_id']}'", [region.finding for region in own], ["heatmap"],
            )  # fmt: skip
            placement = Placement.of(int(picture["height"]), int(picture["width"]), cohort.pictures.shape[1])
            measured = grounding.measure(heatmaps, own, placement, tolerance)
            for region, heatmap, result in zip(own, heatmaps, measured, strict=True):
                key = {"dataset": cohort.dataset, "image_id": region.image_id, "finding": region.finding}
                hits.append(key | {"kind": region.kind} | asdict(result))
                if (region.image_id, region.finding) in shown:
                    kept.append(Example(region, heatmap, int(batch.index[i]), placement, bool(result.hit)))
    require_finite(similarities, what, cohort.image_ids, sentences)
    table = pd.DataFrame({"image_id": cohort.image_ids, **prompts.fold(similarities, columns)})
    return Scores(table, _pointing_table(hits), kept)


def _pointing_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    names = ["dataset", "image_id", "finding", "kind", *grounding.Grounding.__dataclass_fields__]
    types = {"hit": "int8"} | dict.fromkeys(("chance", "cnr", "miou", "size"), "float32")
    return pd.DataFrame(rows, columns=names).astype(types)


def _write_examples(folder: Path, kept: dict[str, list[Example]]) -> None:
    """examples.npz: ``heatmaps`` float32 (n, h, w); examples.json: what each shows, in pixels of the cached square."""
    described = []
    for dataset, chosen in kept.items():
        for example in chosen:
            region, placement = example.region, example.placement
            top, left = region.rectangles[:, :2].min(axis=0)
            bottom, right = region.rectangles[:, 2:].max(axis=0)
            corners = [*placement.to_square(float(top), float(left)), *placement.to_square(float(bottom), float(right))]
            described.append(
                {
                    "dataset": dataset,
                    "image_id": region.image_id,
                    "row": example.row,
                    "finding": region.finding,
                    "kind": region.kind,
                    "outcome": "hit" if example.hit else "miss",
                    "rule": examples.RULE,
                    "bounds": [round(corner, 3) for corner in corners],
                }
            )
    maps = [example.heatmap for chosen in kept.values() for example in chosen]
    np.savez(folder / "examples.npz", heatmaps=np.stack(maps) if maps else np.empty((0, 1, 1), np.float32))
    files.write_json(folder / "examples.json", described)


def _code_hash(model: str) -> str:
    """SHA-256 over every source file that scoring reaches, and the prompts."""
    reached = plan.reachable(["benchmark/evaluation/score.py", f"baselines/{model}.py"])
    paths = [plan.ROOT / path for path in reached] + [prompts.PATH]
    return files.sha256_json(
        {
            path.name if path == prompts.PATH else str(path.relative_to(plan.ROOT)): files.sha256_file(path)
            for path in paths
        }
    )


def run(system: str, seed: int) -> None:
    """Score one run; see the module.

    Args:
        system: a name of ``systems`` in params.yaml.
        seed: its training seed.

    Raises:
        UserError: an input is missing or does not fit, or a score is not finite.
    """
    started = time.monotonic()
    chosen = settings.load()
    resolved = files.read_json(layout.plan(system))
    torch.set_num_threads(chosen.scoring.threads)
    trained, name = layout.run(system, seed), f"{system}-{seed}"
    scorer = Scorer.restore(trained / "model.safetensors", chosen.scoring)
    book = prompts.load()
    validation = cohorts.read(layout.TRAINING_DATASET, "validate")
    tests = [cohorts.read(dataset, "test") for dataset in layout.EVALUATION_DATASETS]
    asked = {c.dataset: prompts.resolve(book, c.dataset, c.findings) for c in (validation, *tests)}

    with files.replacing(layout.scores(system, seed)) as folder:
        folder.mkdir(parents=True)
        table = score(scorer, validation, asked[validation.dataset], f"{name} on {validation.dataset}")
        files.write_parquet(folder / f"{validation.dataset}.parquet", table)
        pairs = validation_pairs(scorer, validation)
        np.savez(folder / "similarity.npz", **asdict(pairs))

        pointing, kept = [], {}
        for test in tests:
            what = f"{name} on {test.dataset}"
            scores = score_and_ground(
                scorer, test, asked[test.dataset], what, test.regions(), chosen.scoring.tolerance_px
            )
            files.write_parquet(folder / f"{test.dataset}.parquet", scores.table)
            pointing.append(scores.pointing)
            kept[test.dataset] = scores.examples
        files.write_parquet(folder / "pointing.parquet", pd.concat(pointing, ignore_index=True))
        _write_examples(folder, kept)
        files.write_parquet(folder / "curve.parquet", _curve(trained, chosen, tests, book, name))
        files.write_json(
            folder / "score.json",
            {
                "system": system,
                "seed": seed,
                "prompts_hash": prompts.digest(asked),
                "cohort_hash": {c.dataset: c.card["fingerprint"] for c in (validation, *tests)},
                "weights_hash": files.sha256_file(trained / "model.safetensors"),
                "code_hash": _code_hash(resolved["model"]),
                "precision": chosen.scoring.precision,
            },
        )
    pictures = len(validation.rows) + sum(len(test.rows) for test in tests)
    say(f"{name}: {pictures} pictures scored in {time.monotonic() - started:.1f} s")


def _curve(
    trained: Path, chosen: settings.Settings, tests: list[Cohort], book: prompts.PromptBook, name: str
) -> pd.DataFrame:
    """The snapshots' scores of findings and of the primary wordings; empty for a released checkpoint."""
    tables = []
    for path in sorted(trained.glob("snapshot-*.safetensors")):
        match = SNAPSHOT.fullmatch(path.name)
        if match is None:
            continue
        scorer = Scorer.restore(path, chosen.scoring)
        for test in tests:
            columns = prompts.resolve(book, test.dataset, test.findings, primary_only=True)
            table = score(scorer, test, columns, f"{name} ({path.stem}) on {test.dataset}")
            tables.append(table.assign(dataset=test.dataset, progress=int(match[1]) / 100))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["image_id", "dataset", "progress"])

"""``python -m benchmark score --system NAME --seed N``: what one trained system says about every image.

One process restores the model once and scores the four evaluation sets, the validation split (thresholds are fitted
there) and, on the evaluation sets, the snapshots of the budget curve. It reads data/cohort, data/captions and runs/,
and writes scores/<system>-<seed>/ (docs/files.md). No label of an evaluation set is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from baselines import base
from baselines.base import ImageFeatures, TextFeatures
from benchmark.artifacts import cohort as cohorts
from benchmark.artifacts import reading, snapshots
from benchmark.artifacts.cohort import Cohort
from benchmark.artifacts.columns import CELL, PUBLISHED
from benchmark.artifacts.run import Run, leave_out
from benchmark.artifacts.stages import again
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import with_progress
from benchmark.evaluation import examples, pointing, prompts, regions
from benchmark.evaluation.asked import Asked
from benchmark.evaluation.pairs import validation_pairs
from benchmark.evaluation.pointing import Pointed, Question, point
from benchmark.evaluation.regions import Region
from benchmark.evaluation.zero_shot import Scorer, chosen_rows, require_finite
from benchmark.pipeline import layout, settings

SNAPSHOT = re.compile(r"snapshot-\d+(?:\.safetensors|\.parquet)")


def score(
    asked: Asked, cohort: Cohort, what: str, truth: Sequence[Region] = (), tolerance: float = 0.0
) -> tuple[pd.DataFrame, list[Pointed]]:
    """Score every image against every prompt of its dataset, and ground ``truth`` while its features are at hand.

    Args:
        asked: the model and its questions.
        cohort: the images.
        what: for error messages, e.g. ``carzero-0 on vindr_cxr``.
        truth: the grounding truth; none is measured where there is none.
        tolerance: of the pointing game, pixels of the original.

    Returns:
        image_id and one float32 column per prompt, in the order of the index; and what was pointed at.

    Raises:
        UserError: a similarity or a heatmap is not finite.
    """
    scorer, columns = asked.scorer, asked.columns[cohort.dataset]
    sentences = prompts.sentences_of(columns)
    texts = asked.texts(sentences)
    sentence_of = {prompt.column.removeprefix("finding:"): prompt.sentences[0] for prompt in columns}
    question = Question.of(truth, tolerance) if scorer.model.publishes_heatmaps else None
    grounded = question.findings if question else []
    pointers = asked.texts([sentence_of[finding] for finding in grounded])
    similarities = np.empty((len(cohort.rows), len(sentences)), np.float32)
    pointed: list[Pointed] = []
    for place, features in scorer.batches(cohort.images, cohort.rows):
        similarities[place] = scorer.similarity(features, texts)
        if question and grounded:
            of_batch = (scorer, features, pointers, grounded)
            pointed += point(_published(*of_batch), cohort, place, question, what)
            if scorer.model.answers_for_cells:
                pointed += point(_cells(*of_batch), cohort, place, replace(question, whole=False), what, CELL)
    require_finite(similarities, what, cohort.image_ids, sentences)
    scores = scorer.across_images(pd.DataFrame(prompts.fold(similarities, columns)))
    require_finite(scores.to_numpy(), f"{what}, across its images", cohort.image_ids, list(scores))
    return pd.concat([pd.DataFrame({"image_id": cohort.image_ids}), scores], axis=1), pointed


def _published(scorer: Scorer, features: ImageFeatures, texts: TextFeatures, findings: list[str]) -> pointing.Ask:
    """The published heatmaps of a batch's ``features`` by the ``texts`` that ask for ``findings``."""

    def ask(images: list[int], asked: list[str]) -> NDArray[np.float32]:
        each, wanted = sorted(set(images)), sorted(set(asked))
        maps = scorer.heatmaps(
            chosen_rows(features, each), chosen_rows(texts, [findings.index(name) for name in wanted])
        )
        return maps[[each.index(image) for image in images], [wanted.index(name) for name in asked]]

    return ask


def _cells(scorer: Scorer, features: ImageFeatures, texts: TextFeatures, findings: list[str]) -> pointing.Ask:
    """What the model says of each cell alone; only the pairs that are asked are scored, for each costs h x w scores."""

    def ask(images: list[int], asked: list[str]) -> NDArray[np.float32]:
        maps: dict[tuple[int, str], NDArray[np.float32]] = {}
        for name in sorted(set(asked)):
            own = [image for image, finding in zip(images, asked, strict=True) if finding == name]
            scores = scorer.cell_scores(chosen_rows(features, own), chosen_rows(texts, [findings.index(name)]))
            maps |= {(image, name): scores[place, 0] for place, image in enumerate(own)}
        return np.stack([maps[pair] for pair in zip(images, asked, strict=True)])

    return ask


def run(system: str, seed: int) -> None:
    """Score one run; see the module.

    Args:
        system: a name of ``systems`` in params.yaml.
        seed: its training seed.

    Raises:
        UserError: an input is missing or does not fit, or a score is not finite.
    """
    if absent := Run(system, seed).absent:
        leave_out(layout.scores(system, seed), absent)
        return
    chosen = settings.load()
    plans = layout.plan(system), layout.stage_plan("score")
    code_hashes = [reading.read_json(path)["code_hash"] for path in plans]
    torch.set_num_threads(chosen.scoring.threads)
    trained, name = layout.run(system, seed), f"{system}-{seed}"
    scorer = Scorer.restore(trained / "model.safetensors", chosen.scoring)
    book = prompts.load()
    read = {dataset: cohorts.read(dataset, split) for dataset, split in cohorts.SPLITS.items()}
    validation, tests = read[layout.TRAINING_DATASET], [read[dataset] for dataset in layout.EVALUATION_DATASETS]
    columns = {c.dataset: prompts.resolve(book, c.dataset, c.findings) for c in (validation, *tests)}
    asked = Asked.of(scorer, columns)

    with files.replacing(layout.scores(system, seed)) as folder:
        folder.mkdir(parents=True)
        table, _ = score(asked, validation, f"{name} on {validation.dataset}")
        files.write_parquet(folder / f"{validation.dataset}.parquet", table)
        validation_pairs(scorer, validation).write(folder)

        pointed = {}
        for test in with_progress(tests, f"scoring {name}"):
            table, pointed[test.dataset] = score(
                asked, test, f"{name} on {test.dataset}", regions.of(test), chosen.scoring.tolerance_px
            )
            files.write_parquet(folder / f"{test.dataset}.parquet", table)
        tables = [pointing.table(dataset, found) for dataset, found in pointed.items()]
        files.write_parquet(folder / "pointing.parquet", pd.concat(tables, ignore_index=True))
        shown = {dataset: [p for p in found if p.shown == PUBLISHED] for dataset, found in pointed.items()}
        examples.write(folder, shown)
        files.write_parquet(folder / "curve.parquet", _curve(trained, chosen, tests, book, name))
        files.write_json(
            folder / "score.json",
            {
                "system": system,
                "seed": seed,
                "prompts_hash": prompts.digest(columns),
                "cohort_hash": {c.dataset: c.fingerprint for c in (validation, *tests)},
                "weights_hash": files.sha256_file(trained / "model.safetensors"),
                "code_hash": files.sha256_json(code_hashes),
                "precision": chosen.scoring.precision,
                "prompts": scorer.model.prompts,
                "heatmaps": scorer.model.publishes_heatmaps,
            },
        )


def _curve(
    trained: Path, chosen: settings.Settings, tests: list[Cohort], book: prompts.PromptBook, name: str
) -> pd.DataFrame:
    """The snapshots' scores of findings and of the primary wordings; empty for a released checkpoint."""
    tables = []
    columns = {c.dataset: prompts.resolve(book, c.dataset, c.findings, primary_only=True) for c in tests}
    snapshots = [path for path in sorted(trained.iterdir()) if SNAPSHOT.fullmatch(path.name)]
    for path in with_progress(snapshots, f"scoring the snapshots of {name}"):
        asked = Asked.of(_restored(path, chosen.scoring), columns)
        progress = int(path.stem.removeprefix("snapshot-")) / 100
        for test in tests:
            table, _ = score(asked, test, f"{name} ({path.stem}) on {test.dataset}")
            tables.append(table.assign(dataset=test.dataset, progress=progress))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["image_id", "dataset", "progress"])


def _restored(snapshot: Path, scoring: settings.ScoringSettings) -> Scorer:
    """The model of a snapshot, exact or compact.

    Raises:
        UserError: the file is damaged, or is not of its run.
    """
    if snapshot.suffix != snapshots.SUFFIX:
        return Scorer.restore(snapshot, scoring)
    result = snapshot.with_name("model.safetensors")
    scorer = Scorer.restore(result, scoring)
    weights = snapshots.read(snapshot, load_file(result))
    try:
        base.load_exactly(scorer.model, {n: torch.from_numpy(v) for n, v in weights.items()}, str(snapshot))
    except ValueError as error:
        raise UserError(f"{error} Run {again(snapshot)}.") from None
    return scorer

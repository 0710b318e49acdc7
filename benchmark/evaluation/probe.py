"""``python -m benchmark probe``: the supervised reference of every table, from labels instead of text.

(a) The systems' image tower with a supervised head, trained end to end on the training set's labels from where the
systems of the first seed start (compute/supervised.py), answers for every finding that has a counterpart among them.
(b) A linear head on its frozen features, cross-fitted within each evaluation set (crossfit.py), answers for every
finding with enough positives. Both are written, labelled ``transfer:`` and ``crossfit:``; ``finding:`` and ``normal``
are (a) where it exists, else (b). The head that answers for a finding also points at it (activation.py). Beside it
stands the other end, the floor of a normal AUC (thumbnail.py).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.artifacts import cohort as cohorts
from benchmark.artifacts.cohort import Cohort
from benchmark.artifacts.scores import THUMBNAIL
from benchmark.common import files
from benchmark.common.progress import with_progress
from benchmark.compute import device as computing
from benchmark.compute import supervised
from benchmark.compute.supervised import Supervised
from benchmark.evaluation import activation, counterparts, crossfit, labels, pointing, regions, thumbnail
from benchmark.evaluation.activation import Head
from benchmark.evaluation.crossfit import CrossFitted
from benchmark.evaluation.zero_shot import require_finite
from benchmark.pipeline import layout, pretrained, settings


def ceiling(
    cohort: Cohort,
    logits: NDArray[np.float32],
    features: NDArray[np.float32],
    trained: list[str],
    minimum: int,
    seed: int,
) -> tuple[pd.DataFrame, dict[str, str], dict[str, CrossFitted]]:
    """Both probes on one evaluation set.

    Args:
        cohort: the images and their labels.
        logits: (n, findings + 1) of the supervised network, ``normal`` last.
        features: (n, d), frozen.
        trained: the training labels in the order of the logits, without ``normal``.
        minimum: positives (and negatives) that a cross-fitted head needs.
        seed: of the folds.

    Returns:
        The table of probe/<dataset>.parquet, and for each finding and ``normal`` where its score comes from:
        ``transfer:<training label>``, ``crossfit``, or ``none``: no head can answer, its column is 0 (AUC 0.5);
        and the cross-fitted heads.
    """
    table, names = counterparts.load(), [*trained, "normal"]
    patients = cohort.index["patient_id"].to_numpy(str)
    transfer, heads, source = {}, {}, {}
    for finding in [*cohort.findings, "normal"]:
        counterpart = counterparts.of(cohort.dataset, finding, names, table)
        truth = cohort.normal if finding == "normal" else cohort.labels([finding])[:, 0]
        if counterpart:
            transfer[finding] = logits[:, names.index(counterpart)]
        if min((truth == 1).sum(), (truth == 0).sum()) >= minimum:
            found = crossfit.fit(features, truth, patients, seed)
            if found is not None:
                heads[finding] = found
        source[finding] = f"transfer:{counterpart}" if counterpart else "crossfit" if finding in heads else "none"
    fitted = {finding: found.scores for finding, found in heads.items()}
    nothing = np.zeros(len(cohort.rows), np.float32)
    columns = {
        "normal" if finding == "normal" else f"finding:{finding}": {**fitted, **transfer}.get(finding, nothing)
        for finding in source
    }
    columns |= {f"transfer:{finding}": scores for finding, scores in transfer.items()}
    columns |= {f"crossfit:{finding}": scores for finding, scores in fitted.items()}
    require_finite(logits, f"probe on {cohort.dataset}", cohort.image_ids, names)
    return pd.DataFrame({"image_id": cohort.image_ids, **columns}), source, heads


def heads_of(
    model: Supervised, trained: list[str], source: dict[str, str], fitted: dict[str, CrossFitted], images: int
) -> dict[str, Head]:
    """The head that answers for each finding (of ``ceiling``'s ``source``), for the class activation."""
    names = [*trained, "normal"]
    heads = {}
    for finding, where in source.items():
        if where.startswith("transfer:"):
            heads[finding] = Head.trained(model, names.index(where.removeprefix("transfer:")), images)
        elif finding in fitted:
            heads[finding] = Head.cross_fitted(fitted[finding])
    return heads


def run() -> None:
    """Train the probe, score the evaluation sets, write probe/ (docs/files.md).

    Raises:
        UserError: a cohort is missing or does not fit, or the loss is not finite.
    """
    chosen = settings.load()
    device, training = computing.setup(chosen.training)
    learnt = cohorts.read(layout.TRAINING_DATASET, "train")
    images = np.asarray(learnt.images[learnt.rows])
    targets = labels.targets_of(learnt)
    encoders = pretrained.of_seed(chosen.encoders, chosen.seeds[0])
    what = "training the supervised probe"
    model = supervised.train(images, targets, encoders, chosen.probe, chosen.probe.seed, training, device, what)
    floor = thumbnail.fit(learnt)
    sources, pointed, minimum = {}, [], chosen.statistics.min_positives
    with files.replacing(layout.PROBE) as folder:
        folder.mkdir(parents=True)
        for dataset in with_progress(layout.EVALUATION_DATASETS, "probing the evaluation sets"):
            cohort = cohorts.read(dataset, cohorts.SPLITS[dataset])
            logits, features = labels.predict(model, cohort, chosen.scoring.batch_size, device)
            table, source, fitted = ceiling(cohort, logits, features, learnt.findings, minimum, chosen.probe.seed)
            table[THUMBNAIL] = thumbnail.scores(floor, cohort)
            files.write_parquet(folder / f"{dataset}.parquet", table)
            sources[dataset] = source
            heads = heads_of(model, learnt.findings, source, fitted, len(cohort.rows))
            size, tolerance = chosen.scoring.batch_size, chosen.scoring.tolerance_px
            found = activation.point_at(model, cohort, heads, regions.of(cohort), tolerance, size, device)
            pointed.append(pointing.table(dataset, found))
        files.write_parquet(folder / "pointing.parquet", pd.concat(pointed, ignore_index=True))
        files.write_json(
            folder / "probe.json",
            {
                "samples": chosen.probe.samples,
                "seed": chosen.probe.seed,
                "trained_on": [*learnt.findings, "normal"],
                "source": sources,
                "cohort_hash": {dataset: cohorts.read_card(dataset)["fingerprint"] for dataset in layout.DATASETS},
            },
        )

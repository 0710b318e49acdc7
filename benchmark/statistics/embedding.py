"""Do the normals really lie together? Measured in the embedding space and in the pair matrix.

The paper says that the off-diagonal term clusters normals; here the mean cosine within and between the
classes, the silhouette of the normals (Rousseeuw 1987, cosine distance) and the mean logit of each block of
the image x caption matrix, in standard deviations of the whole matrix, say how far. Patients of the
validation split are resampled; an image is never paired with itself or its own copy.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from benchmark.artifacts.cohort import Cohort
from benchmark.artifacts.pairs import chosen_pairs
from benchmark.artifacts.run import Run
from benchmark.common.errors import UserError
from benchmark.pipeline import layout
from benchmark.pipeline.settings import StatisticsSettings
from benchmark.statistics import tables
from benchmark.statistics.auc import Floats
from benchmark.statistics.bootstrap import Draws, Resampled, draw, resampled_ratios
from benchmark.statistics.seeds import SeedLayouts
from benchmark.statistics.tables import Row


def pair_mean(values: NDArray, first: NDArray, second: NDArray, draws: Draws) -> Resampled:
    """Mean of values[i, j] over pairs i != j of the two groups.

    Args:
        values: (n, n).
        first: (n,) bool, the group of i.
        second: (n,) bool, the group of j.
        draws: of the n images.
    """
    pairs = np.outer(first, second) & ~np.eye(len(values), dtype=bool)
    weights = draws.counts[draws.cluster].astype(np.float64)  # (n, R)

    def weighted(w: Floats) -> Floats:
        top = np.einsum("ir,ir->r", w, np.where(pairs, values, 0.0) @ w)
        bottom = np.einsum("ir,ir->r", w, pairs.astype(float) @ w)
        return np.divide(top, bottom, out=np.full(w.shape[1], np.nan), where=bottom > 0)

    return Resampled(float(weighted(np.ones((len(values), 1)))[0]), weighted(weights), np.empty(0))


def separation(embedding: NDArray, logits: NDArray, normal: NDArray, draws: Draws) -> dict[str, Resampled]:
    """Every measure of one run.

    Args:
        embedding: (n, D) image embeddings, any length.
        logits: (n, n) image x caption.
        normal: (n,) bool.
        draws: of the n images.

    Raises:
        UserError: fewer than two normals or abnormals, or a value is no number.
    """
    from sklearn.metrics import silhouette_samples

    normal = np.asarray(normal, bool)
    if min(normal.sum(), (~normal).sum()) < 2:
        raise UserError(
            f"similarity.npz: expected at least two normal and two abnormal images, found {normal.sum()} and "
            f"{(~normal).sum()}; enlarge the validation split."
        )
    if not (np.isfinite(embedding).all() and np.isfinite(logits).all()):
        raise UserError("similarity.npz: expected finite numbers, found NaN or infinity; score the run again.")
    unit = embedding / np.maximum(np.linalg.norm(embedding, axis=1, keepdims=True), 1e-12)
    cosine = unit.astype(np.float64) @ unit.T.astype(np.float64)
    distance = np.clip(1 - cosine, 0, 2)
    np.fill_diagonal(distance, 0)
    silhouette = silhouette_samples(distance, normal, metric="precomputed")
    scaled = (logits - logits.mean()) / (logits.std() or 1.0)
    diagonal = np.diagonal(scaled).astype(float)[:, None]
    return {
        "cosine_normal_normal": pair_mean(cosine, normal, normal, draws),
        "cosine_normal_abnormal": pair_mean(cosine, normal, ~normal, draws),
        "cosine_abnormal_abnormal": pair_mean(cosine, ~normal, ~normal, draws),
        "silhouette_normal": resampled_ratios((silhouette * normal)[:, None], normal[:, None], draws)[0],
        "logit_normal_normal": pair_mean(scaled, normal, normal, draws),
        "logit_normal_abnormal": pair_mean(scaled, normal, ~normal, draws),
        "logit_abnormal_normal": pair_mean(scaled, ~normal, normal, draws),
        "logit_abnormal_abnormal": pair_mean(scaled, ~normal, ~normal, draws),
        "logit_diagonal": resampled_ratios(diagonal, np.ones_like(diagonal), draws)[0],
    }


def rows(
    runs: list[Run], validation: Cohort, chosen: StatisticsSettings, starts: Mapping[str, str] | None = None
) -> list[Row]:
    """Rows of embedding.csv from every run's similarity.npz, on validation images; ``starts``: of `seed_layouts`."""
    images = chosen_pairs(validation)
    normal = images["normal"].to_numpy(bool)
    draws = draw(images["patient_id"], chosen.replicates, chosen.seed, "similarity")
    measured = {}
    for run in runs:
        stored = run.pairs()
        stored.check(run.scores_folder, normal)
        measured[run] = separation(stored.image_embedding, stored.logits, normal, draws)
    found: list[Row] = []
    for system in dict.fromkeys(run.system for run in runs):
        mine = [run for run in runs if run.system == system]
        for measure in measured[mine[0]]:
            named = {"system": system, "measure": measure, "n": len(normal)}
            for run in mine:
                row = tables.bounds(measured[run][measure], chosen, None, 1) | {"seed": run.seed, "seeds": 1}
                found.append(named | row | tables.hashes([run], layout.TRAINING_DATASET))
            seeds = SeedLayouts.of({(run.system, run.seed): measured[run][measure].estimate for run in runs}, starts)
            each = [measured[run][measure] for run in mine]
            statistic, spread = tables.combined(each, {system: 1.0}, seeds, chosen)
            row = tables.bounds(statistic, chosen, None, len(mine)) | {"seed": "all"} | spread
            found.append(named | row | tables.hashes(mine, layout.TRAINING_DATASET))
    return found

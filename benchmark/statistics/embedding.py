"""Do the normals really lie together? Measured in the embedding space and in the pair matrix.

The paper says that the off-diagonal term clusters normals; here the mean cosine within and between the
classes, the silhouette of the normals (Rousseeuw 1987, cosine distance) and the mean logit of each block of
the image x caption matrix, in standard deviations of the whole matrix, say how far. Patients of the
validation split are resampled; an image is never paired with itself or its own copy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmark.common.errors import UserError
from benchmark.statistics.auc import Floats
from benchmark.statistics.bootstrap import Draws, Resampled, resampled_ratios


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

"""Separation of normals against scikit-learn and a literal double loop."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples
from sklearn.metrics.pairwise import cosine_similarity

from benchmark.common.errors import UserError
from benchmark.statistics.bootstrap import draw
from benchmark.statistics.embedding import pair_mean, separation


def embedded(pull: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """50 images whose normals share a direction of strength ``pull``."""
    generator = np.random.default_rng(0)
    normal = generator.random(50) < 0.4
    embedding = generator.normal(size=(50, 8)) + pull * np.outer(normal, np.ones(8))
    logits = generator.normal(size=(50, 50)) + pull * np.outer(normal, normal) + 5 * np.eye(50)
    return embedding.astype(np.float32), logits.astype(np.float32), normal


def test_cosines_and_silhouette_are_scikit_learns() -> None:
    embedding, logits, normal = embedded(1.0)
    found = separation(embedding, logits, normal, draw(range(50), 20, 1))
    cosine = cosine_similarity(embedding.astype(float))
    off = ~np.eye(50, dtype=bool)
    within = cosine[np.outer(normal, normal) & off].mean()
    assert found["cosine_normal_normal"].estimate == pytest.approx(within, abs=1e-6)
    assert found["cosine_normal_abnormal"].estimate == pytest.approx(cosine[normal][:, ~normal].mean(), abs=1e-6)
    silhouettes = silhouette_samples(embedding, normal, metric="cosine")
    assert found["silhouette_normal"].estimate == pytest.approx(silhouettes[normal].mean(), abs=1e-5)


def test_a_resampled_pair_mean_never_pairs_an_image_with_its_copy() -> None:
    generator = np.random.default_rng(1)
    values, group = generator.normal(size=(12, 12)), np.ones(12, bool)
    draws = draw(range(12), 30, 1)
    found = pair_mean(values, group, group, draws)
    for replicate in range(30):
        rows = np.repeat(np.arange(12), draws.counts[draws.cluster, replicate])
        pairs = [values[i, j] for i in rows for j in rows if i != j]
        assert found.replicates[replicate] == pytest.approx(np.mean(pairs))


def test_blocks_of_the_pair_matrix_are_in_its_own_standard_deviations() -> None:
    embedding, logits, normal = embedded(2.0)
    draws = draw(range(50), 20, 1)
    found = separation(embedding, logits, normal, draws)
    rescaled = separation(embedding, logits * 7 - 3, normal, draws)
    for name in found:
        assert rescaled[name].estimate == pytest.approx(found[name].estimate, abs=1e-4)
    scaled = (logits - logits.mean()) / logits.std()
    assert found["logit_diagonal"].estimate == pytest.approx(np.diagonal(scaled).mean(), abs=1e-5)
    assert found["logit_normal_normal"].estimate > found["logit_normal_abnormal"].estimate + 0.5


def test_pulled_normals_are_tighter_and_plain_ones_are_not() -> None:
    draws = draw(range(50), 20, 1)
    pulled, plain = (separation(*embedded(pull), draws) for pull in (2.0, 0.0))
    assert pulled["silhouette_normal"].estimate > 0.3 > 0.05 > plain["silhouette_normal"].estimate
    assert plain["cosine_normal_normal"].estimate == pytest.approx(0, abs=0.1)


def test_bad_input_is_named() -> None:
    embedding, logits, normal = embedded(0.0)
    draws = draw(range(50), 5, 1)
    with pytest.raises(UserError, match="at least two normal and two abnormal images, found 0 and 50"):
        separation(embedding, logits, np.zeros(50, bool), draws)
    logits[3, 4] = np.nan
    with pytest.raises(UserError, match="expected finite numbers"):
        separation(embedding, logits, normal, draws)

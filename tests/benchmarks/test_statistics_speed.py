"""How long the exact cluster bootstrap takes, and how it compares with scikit-learn in a Python loop.

    pytest --benchmark-only tests/benchmarks/test_statistics_speed.py

Run with one BLAS thread. 2,000 replicates: 500 x 14 in half a second, VinDr's 3,000 x 28 in four seconds,
PadChest's 39,053 x 193 within a minute and below 4 GB, at least 250 times the loop, whose time is
extrapolated from a few replicates in the same run.
"""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from sklearn.metrics import roc_auc_score

from benchmark.statistics import measure
from benchmark.statistics.bootstrap import Draws, Resampled, draw, resampled_aucs
from tests.benchmark import synthetic_run

REPLICATES = 2000
SIZES = {"chexpert": (500, 14, 0.5), "vindr": (3000, 28, 4.0), "padchest": (39053, 193, 60.0)}


def study(images: int, labels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patients of one or two images; prevalences as in PadChest, from 1 in 1,000 to a third, and half normal."""
    generator = np.random.default_rng(0)
    patients = np.sort(generator.integers(0, int(images * 0.68), images))
    prevalence = np.append(np.geomspace(0.001, 0.33, labels - 1), 0.5)
    truth = (generator.random((images, labels)) < prevalence).astype(float)
    truth[:2] = [[0.0], [1.0]]
    return patients, truth, (generator.normal(size=truth.shape) + truth).astype(np.float32)


def seconds_of_the_loop(truth: np.ndarray, scores: np.ndarray, draws: Draws, found: list[Resampled]) -> float:
    """Time that scikit-learn would take for all replicates, from two of them; they must agree to 1e-12."""
    sampled = np.linspace(0, truth.shape[1] - 1, min(10, truth.shape[1])).astype(int)
    start = time.perf_counter()
    for replicate in range(2):
        rows = np.repeat(np.arange(len(truth)), draws.counts[draws.cluster, replicate])
        for k in sampled:
            if 0 < truth[rows, k].sum() < len(rows):
                expected = roc_auc_score(truth[rows, k], scores[rows, k])
                assert abs(found[k].replicates[replicate] - expected) < 1e-12
    return (time.perf_counter() - start) / 2 * REPLICATES * truth.shape[1] / len(sampled)


@pytest.mark.parametrize("size", SIZES)
def test_cluster_bootstrap(benchmark: BenchmarkFixture, size: str) -> None:
    images, labels, limit = SIZES[size]
    patients, truth, scores = study(images, labels)

    def whole() -> tuple[Draws, list[Resampled]]:
        draws = draw(patients, REPLICATES, 0, size)
        return draws, resampled_aucs(truth, scores, draws)

    draws, found = benchmark.pedantic(whole, rounds=1, warmup_rounds=0)
    ours = benchmark.stats.stats.mean
    loop = seconds_of_the_loop(truth, scores, draws, found)
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    benchmark.extra_info.update(
        {
            "ratio": loop / ours,
            "reference": "scikit-learn in a loop",
            "target": 250,
            "limit, s": limit,
            "peak, GB": gigabytes,
        }
    )
    print(f"\n{size}: {ours:.2f} s (limit {limit}), {loop / ours:.0f} x the loop, peak {gigabytes:.2f} GB")
    assert ours < limit
    assert loop / ours > 250
    assert gigabytes < 4


def test_the_whole_embedded_default(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """21 runs, four datasets, 2,000 replicates, snapshots, grounding, operating points: within a minute."""
    ablation = ("carzero_filter", "carzero_offdiagonal", "offclip_nofilter", "offclip_noabnormal", "offclip_softmax")
    many = {name: [f"{name}-{k}" for k in range(20)] for name in synthetic_run.FINDINGS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic_run, "FINDINGS", many)
        synthetic_run.write(
            tmp_path, images=800, replicates=REPLICATES, seeds=(0, 1, 2), ablation=(*ablation, "clip_offclip")
        )
        patch.chdir(tmp_path)
        benchmark.pedantic(measure.run, rounds=1, warmup_rounds=0)
    assert len(os.listdir(tmp_path / "results")) == 14
    assert benchmark.stats.stats.mean < 60

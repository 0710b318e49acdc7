"""Sums and running sums of weighted buckets against the definition, one observation at a time."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.statistics.buckets import Buckets


@pytest.mark.parametrize("buckets", [1, 2, 3, 7, 16, 50])
def test_running_sums_are_those_of_a_loop_over_the_observations(buckets: int) -> None:
    generator = np.random.default_rng(buckets)
    bucket, cluster = generator.integers(0, buckets, 80), generator.integers(0, 20, 80)
    weights = generator.integers(0, 5, (20, 6)).astype(np.float32)
    filled = np.zeros((buckets, 6))
    for k, c in zip(bucket, cluster, strict=True):
        filled[k] += weights[c]

    found = Buckets.of(bucket, cluster, buckets, 20)
    runs = len(found.sums(weights)) // found.height
    row = np.arange(buckets) % found.height * runs + np.arange(buckets) // found.height
    np.testing.assert_array_equal(found.sums(weights)[row], filled)
    np.testing.assert_array_equal(found.running(weights)[row], np.cumsum(filled, axis=0))
    np.testing.assert_array_equal(found.running(weights)[-1], filled.sum(axis=0))
    assert found.sums(weights).sum() == filled.sum()  # rows beyond the last bucket are empty


def test_images_of_a_patient_in_one_bucket_are_one_entry() -> None:
    found = Buckets.of(np.array([4, 4, 4]), np.array([1, 1, 0]), 5, 2)
    assert found.matrix.nnz == 2
    assert found.running(np.array([[10.0], [1.0]], np.float32))[-1, 0] == 12.0


def test_no_observation_fills_no_bucket() -> None:
    nobody = np.empty(0, np.int64)
    assert not Buckets.of(nobody, nobody, 1, 4).running(np.ones((4, 3), np.float32)).any()

"""Weights summed into ordered buckets and accumulated, for many weightings at once.

A curve over ranked scores (ROC, precision-recall) is a running sum over buckets of the score axis. A sparse product
fills the buckets of a block of replicates; the running sum is taken in two levels, because NumPy walks a `cumsum`
along the first axis one replicate at a time. All sums are of whole numbers, so their order is of no account.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Counts = NDArray[np.float32]
"""Whole numbers, exact in float32 below 2**24."""


@dataclass(frozen=True)
class Buckets:
    """Which of the clusters fill each of B ordered buckets.

    The buckets are cut into runs of ``height`` neighbours. Row i * runs + g of the sums is bucket i of run g, so
    that step i of all runs is one contiguous block.
    """

    matrix: sparse.csr_array
    """(height * runs, C) float32; the rows beyond bucket B - 1 are empty."""
    height: int

    @classmethod
    def of(cls, bucket: NDArray, cluster: NDArray, buckets: int, clusters: int) -> Buckets:
        """Assign observations.

        Args:
            bucket: (m,) 0 .. B - 1.
            cluster: (m,) 0 .. C - 1: whose weight the observation has.
            buckets: B.
            clusters: C.
        """
        height = max(1, isqrt(buckets))
        runs = -(-buckets // height)
        row = bucket % height * runs + bucket // height
        # Images of one patient in one bucket become one entry, their number.
        once = np.ones(len(row), np.float32)
        matrix = sparse.coo_array((once, (row, cluster)), shape=(height * runs, clusters)).tocsr()
        return cls(matrix, height)

    def sums(self, weights: Counts) -> Counts:
        """Weight in each bucket, in the order of the rows: (C, R) -> (rows, R)."""
        filled: Counts = self.matrix @ weights
        return filled

    def running(self, weights: Counts) -> Counts:
        """Weight in each bucket and all before it, in the order of the rows: (C, R) -> (rows, R); last, the total."""
        filled = self.sums(weights)
        steps = filled.reshape(self.height, -1, filled.shape[1])  # (height, runs, R)
        for i in range(1, self.height):
            steps[i] += steps[i - 1]
        steps[:, 1:] += np.cumsum(steps[-1, :-1], axis=0)
        return filled

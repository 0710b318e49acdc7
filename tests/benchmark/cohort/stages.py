"""From a raw tree to a cohort: the three stages in a row, as `dvc repro prepare@DATASET` runs them."""

from __future__ import annotations

from benchmark import cli
from benchmark.cohort import index, prepare
from benchmark.cohort.decoding import stage as decode

CHAIN = ("index", "decode", "prepare")


def command(dataset: str) -> int:
    """By the command line; the exit status of the first that fails, or 0."""
    return next((status for name in CHAIN if (status := cli.main([name, dataset]))), 0)


def run(dataset: str) -> None:
    """By their functions; errors are raised."""
    for stage in (index, decode, prepare):
        stage.run(dataset)

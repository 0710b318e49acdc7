"""Counts beside the published ones, and a table that is not whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.cohort import contract, protocol
from benchmark.cohort.schema import Counts
from benchmark.common.errors import UserError
from benchmark.pipeline import layout
from tests.benchmark.cohort.conftest import Read


def test_part_of_a_table_is_refused_unless_it_is_meant(miniature: tuple[str, Path], read: Read) -> None:
    dataset, root = miniature
    cohort = read(dataset, root)
    assert 0 < cohort.rows < cohort.published_rows
    sentence = rf"{dataset}: its table has {cohort.rows} rows, the published one {cohort.published_rows:,}; download"
    with pytest.raises(UserError, match=sentence):
        protocol.check_whole(dataset, cohort, subset=False)
    protocol.check_whole(dataset, cohort, subset=True)


def test_a_whole_table_passes(published_tables: Path, read: Read) -> None:
    protocol.check_whole("padchest", read("padchest", published_tables), subset=False)
    protocol.check_whole("open_i", read("open_i", published_tables), subset=False)


def test_counts_stand_beside_the_published_ones() -> None:
    assert protocol.compared("vindr_cxr", Counts(3000, 3000, 3000, 2100, 900)) == [
        "Published protocol: images 3,000, the same here; normal share 68.3%, here 70.0%."
    ]
    assert protocol.compared("open_i", Counts(3700, 3700, 3700, 0, 3700)) == [
        "Published protocol: images 7,470, here 3,700."
    ]
    assert protocol.compared("chexpert", Counts(518, 500, 500, 0, 0)) == [
        "Published protocol: studies 500, the same here."
    ]


def test_the_published_protocol_of_the_real_tables(published_tables: Path, read: Read) -> None:
    """`labels: published` with the views of the protocol gives the paper's counts."""
    for dataset, options in (("padchest", {}), ("open_i", {"views": "all"})):
        index = read(dataset, published_tables, labels="published", **options).index
        assert len(index) == protocol.PUBLISHED[dataset]["images"]


def test_every_dataset_is_compared() -> None:
    assert tuple(protocol.PUBLISHED) == layout.DATASETS
    assert contract.Release.rows == 0

"""A compact snapshot: little room, weights within the rounding that is promised, and no other run's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.artifacts import snapshots
from benchmark.common.errors import UserError

PATH = Path("runs/clip-0/snapshot-25.parquet")


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict, dict]:
    """Weights at a quarter of a run and at its end: a matrix with a far mover, one that stands still, vectors."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(3)
    result = {
        "matrix": generator.normal(size=(300, 200)).astype(np.float32),
        "filter": generator.normal(size=(8, 4, 3, 3)).astype(np.float32),
        "frozen": generator.normal(size=(50, 40)).astype(np.float32),
        "bias": generator.normal(size=200).astype(np.float32),
        "scale": np.float32(4.6).reshape(()),
        "batches": np.array(7, dtype=np.int64),
    }
    early = {
        name: value
        if name == "frozen"
        else (value + generator.normal(scale=0.2, size=value.shape).astype(np.float32)).astype(value.dtype)
        for name, value in result.items()
    }
    early["matrix"][0, 0] += 30
    return early, result


def test_every_weight_is_within_half_a_step_and_vectors_are_exact(trained) -> None:
    early, result = trained
    snapshots.write(PATH, early, result)
    read = snapshots.read(PATH, result)
    assert list(read) == list(early)
    for name, value in early.items():
        assert read[name].dtype == value.dtype
        assert read[name].shape == value.shape
        moved = value.astype(float) - result[name]
        step = max(snapshots.STEP * moved.std(), np.abs(moved).max() / snapshots.MOST_STEPS) if value.ndim > 1 else 0
        assert np.abs(read[name] - value).max() <= step / 2 + 1e-6, name
    assert np.array_equal(read["frozen"], early["frozen"])
    assert np.array_equal(read["bias"], early["bias"])


def test_two_of_them_take_less_than_three_tenths_of_the_result(trained) -> None:
    generator = np.random.default_rng(4)
    result = {"matrix": generator.normal(size=(1000, 1000)).astype(np.float32)}
    snapshots.write(PATH, {"matrix": result["matrix"] + generator.normal(size=(1000, 1000)).astype("f4")}, result)
    assert 2 * PATH.stat().st_size < 0.3 * result["matrix"].nbytes


def test_the_same_weights_give_the_same_bytes(trained) -> None:
    snapshots.write(PATH, *trained)
    first = PATH.read_bytes()
    snapshots.write(PATH, *trained)
    assert PATH.read_bytes() == first


@pytest.mark.parametrize("how", ["another result", "cut values", "no table"])
def test_what_does_not_fit_is_a_sentence_with_the_stage_to_run(trained, how: str) -> None:
    early, result = trained
    snapshots.write(PATH, early, result)
    if how == "another result":
        result = {**result, "matrix": result["matrix"][:-1]}
    elif how == "cut values":
        table = pd.read_parquet(PATH)
        table["values"] = table["values"].str.slice(0, -1)
        table.to_parquet(PATH)
    else:
        PATH.write_bytes(b"PAR1")
    with pytest.raises(UserError, match=r"snapshot-25.parquet.*run `dvc repro train@clip-0`"):
        snapshots.read(PATH, result)

"""Grounding rates against a pandas group-by and a literal resampling of rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmark.statistics.bootstrap import Draws, draw
from benchmark.statistics.grounding import Grounded, grounded


@pytest.fixture
def rows() -> pd.DataFrame:
    """Two common findings and a rare one on 200 images; zones have no mIoU."""
    generator = np.random.default_rng(0)
    frames = []
    for finding, count in (("Cardiomegaly", 120), ("Nodule", 60), ("Hernia", 4)):
        images = generator.choice(200, count, replace=False)
        frames.append(pd.DataFrame({"image_id": [f"i{k}" for k in images], "finding": finding}))
    table = pd.concat(frames, ignore_index=True)
    table["hit"] = generator.integers(0, 2, len(table)).astype(np.int8)
    table["chance"] = generator.uniform(0.01, 0.4, len(table)).astype(np.float32)
    table["size"] = table["chance"]
    table["cnr"] = generator.normal(size=len(table)).astype(np.float32)
    table["miou"] = np.float32(np.nan)
    return table


IMAGES = pd.Series([f"i{k}" for k in range(200)])


@pytest.fixture
def draws() -> Draws:
    return draw([k // 2 for k in range(200)], 50, 1)


def find(lines: list[Grounded], finding: str, measure: str = "pointing", size: str = "all") -> Grounded:
    """The one line of that name."""
    [line] = [one for one in lines if (one.finding, one.measure, one.size) == (finding, measure, size)]
    return line


def test_rates_and_chances_are_means_over_the_findings_rows(rows: pd.DataFrame, draws: Draws) -> None:
    lines = grounded(rows, IMAGES, draws, 10)
    means = rows.groupby("finding")[["hit", "chance", "cnr"]].mean()
    for finding in ("Cardiomegaly", "Nodule"):
        line = find(lines, finding)
        assert line.statistic.estimate == pytest.approx(means.hit[finding])
        assert line.chance == pytest.approx(means.chance[finding], rel=1e-6)
        assert line.n == (rows.finding == finding).sum()
        assert find(lines, finding, "cnr").statistic.estimate == pytest.approx(means.cnr[finding])


def test_the_macro_is_the_mean_over_findings_with_enough_rows(rows: pd.DataFrame, draws: Draws) -> None:
    lines = grounded(rows, IMAGES, draws, 10)
    means = rows[rows.finding != "Hernia"].groupby("finding").hit.mean()
    assert find(lines, "").statistic.estimate == pytest.approx(means.mean())
    assert not [line for line in lines if line.finding == "Hernia"]


def test_replicates_resample_patients(rows: pd.DataFrame, draws: Draws) -> None:
    line = find(grounded(rows, IMAGES, draws, 10), "Nodule")
    mine = rows[rows.finding == "Nodule"]
    patient = draws.cluster[mine.image_id.str[1:].astype(int)]
    for replicate in range(50):
        weights = draws.counts[patient, replicate]
        assert line.statistic.replicates[replicate] == pytest.approx(np.average(mine.hit, weights=weights))


def test_terciles_of_size_split_the_rows_and_keep_their_own_chance(rows: pd.DataFrame, draws: Draws) -> None:
    common = rows[rows.finding == "Cardiomegaly"].reset_index(drop=True)
    lines = grounded(common, IMAGES, draws, 10)
    parts = [find(lines, "", size=size) for size in ("small", "medium", "large")]
    assert [part.n for part in parts] == [40, 40, 40]
    assert parts[0].chance < parts[1].chance < parts[2].chance
    ordered = common.sort_values("size").hit.to_numpy()
    assert parts[0].statistic.estimate == pytest.approx(ordered[:40].mean())


def test_a_measure_that_the_truth_does_not_offer_has_no_line(rows: pd.DataFrame, draws: Draws) -> None:
    assert not [line for line in grounded(rows, IMAGES, draws, 10) if line.measure == "miou"]


def test_rows_of_few_patients_are_few(rows: pd.DataFrame) -> None:
    """Sixty rows of nine patients say what nine patients say."""
    patient = np.where(np.isin(IMAGES, rows.image_id[rows.finding == "Nodule"]), np.arange(200) % 9, np.arange(200))
    lines = grounded(rows, IMAGES, draw(patient, 50, 1), 10)
    assert {line.finding for line in lines if line.measure == "pointing" and line.finding} == {"Cardiomegaly"}
    assert find(grounded(rows, IMAGES, draw(patient, 50, 1), 9), "Nodule").n == 60

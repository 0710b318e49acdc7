"""What a run left, joined to its cohort: each complaint names the file, the row and the image."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.artifacts import cohort as cohorts
from benchmark.artifacts.cohort import Cohort
from benchmark.artifacts.run import Run, check_comparable
from benchmark.artifacts.scores import aligned
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout
from benchmark.statistics.normality import normality_scores
from tests.benchmark import synthetic_run


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic run of two systems."""
    root = tmp_path_factory.mktemp("written")
    synthetic_run.write(root, images=60, seeds=(0,), systems=("carzero", "offclip"), ablation=())
    return root


@pytest.fixture
def run_folder(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to be spoilt, as the working directory."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit(path: Path, change: object) -> None:
    """Rewrite a parquet file after ``change(table)``."""
    files.write_parquet(path, change(pd.read_parquet(path)))  # type: ignore[operator]


def read_run(system: str = "carzero") -> tuple[Run, Cohort]:
    return Run(system, 0), cohorts.read("vindr_cxr", "test")


def test_scores_are_put_into_the_cohorts_order(run_folder: Path) -> None:
    path = run_folder / "scores/carzero-0/vindr_cxr.parquet"
    before = pd.read_parquet(path)
    edit(path, lambda table: table.sample(frac=1, random_state=0))
    run, cohort = read_run()
    pd.testing.assert_frame_equal(run.scores(cohort), before)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.iloc[1:], r"vindr_cxr\.parquet: image 'vindr_cxr-00000' has no score \(1 such\)"),
        (lambda t: t.assign(image_id=["odd", *t.image_id[1:]]), r"image 'odd' is not in the cohort"),
        (lambda t: pd.concat([t, t.iloc[[4]]]), r"row 60: image 'vindr_cxr-00004' is listed twice"),
        (lambda t: t.drop(columns="image_id"), r"expected a column 'image_id'"),
    ],
)
def test_rows_that_do_not_match_the_cohort_are_named(run_folder: Path, change: object, sentence: str) -> None:
    edit(run_folder / "scores/carzero-0/vindr_cxr.parquet", change)
    run, cohort = read_run()
    with pytest.raises(UserError, match=sentence):
        run.scores(cohort)


def test_a_score_that_is_no_number_is_named(run_folder: Path) -> None:
    path = layout.scores("carzero", 0) / "vindr_cxr.parquet"
    edit(path, lambda t: t.assign(**{"normal:no_finding": np.where(np.arange(len(t)) == 7, np.inf, 0.0)}))
    run, cohort = read_run()
    with pytest.raises(UserError, match=r"vindr_cxr\.parquet, row 7, column 'normal:no_finding': .* found inf"):
        normality_scores(run.scores(cohort), path)


def test_a_label_other_than_0_and_1_is_named(run_folder: Path) -> None:
    path = layout.cohort("vindr_cxr") / "index.parquet"
    labels = pd.array([0, 0, -1] + [0] * 57, dtype="Int8")
    edit(path, lambda t: t.assign(**{"label:Cardiomegaly": labels}))
    with pytest.raises(UserError, match=r"index\.parquet, row 2, column 'label:Cardiomegaly': .* found -1"):
        cohorts.read("vindr_cxr")


def test_an_image_without_patient_is_named(run_folder: Path) -> None:
    path = layout.cohort("chexpert") / "index.parquet"
    edit(path, lambda t: t.assign(patient_id=[*t.patient_id[:3], "", *t.patient_id[4:]]))
    with pytest.raises(UserError, match=r"index\.parquet, row 3, column 'patient_id': expected the patient"):
        cohorts.read("chexpert")


def test_scores_of_another_cohort_are_refused(run_folder: Path) -> None:
    path = layout.cohort("vindr_cxr") / "card.json"
    files.write_json(path, files.read_json(path) | {"fingerprint": "changed-since"})
    with pytest.raises(UserError, match=r"vindr_cxr was scored as cohort cohort-vindr, but .* cannot be compared"):
        check_comparable([read_run()[0]], [read_run()[1]])


@pytest.mark.parametrize(
    ("key", "value", "what"), [("prompts_hash", "other", "prompts"), ("cohort_hash", {"vindr_cxr": "x"}, "cohorts")]
)
def test_runs_with_different_prompts_or_cohorts_are_never_compared(
    run_folder: Path, key: str, value: object, what: str
) -> None:
    path = layout.scores("offclip", 0) / "score.json"
    files.write_json(path, files.read_json(path) | {key: value})
    runs = [Run(system, 0) for system in ("carzero", "offclip")]
    with pytest.raises(UserError, match=rf"carzero-0 and scores/offclip-0 were scored with different {what}"):
        check_comparable(runs, [])


def test_snapshots_come_by_the_share_of_the_budget(run_folder: Path) -> None:
    run, cohort = read_run()
    curve = run.curve(cohort)
    assert list(curve) == [0.25, 0.5]
    assert all(list(table.image_id) == list(cohort.index.image_id) for table in curve.values())


def test_a_missing_or_broken_file_says_what_to_do(run_folder: Path) -> None:
    run, cohort = read_run()
    path = run.scores_path("vindr_cxr")
    path.write_bytes(b"PAR1 no parquet")
    with pytest.raises(UserError, match=r"vindr_cxr\.parquet cannot be read .*dvc repro score@carzero-0"):
        run.scores(cohort)
    path.unlink()
    with pytest.raises(UserError, match=r"vindr_cxr\.parquet is missing; run `dvc repro score@carzero-0`"):
        run.scores(cohort)


def test_a_run_without_snapshots_has_no_curve(run_folder: Path) -> None:
    run, cohort = read_run()
    assert run.curve(cohort)
    files.write_parquet(run.curve_path, pd.DataFrame(columns=["image_id", "dataset", "progress"]))
    assert run.curve(cohort) == {}


def test_aligned_needs_every_image_once() -> None:
    table = pd.DataFrame({"image_id": ["b", "a"], "x": [2, 1]})
    assert list(aligned(table, pd.Series(["a", "b"]), Path("t")).x) == [1, 2]

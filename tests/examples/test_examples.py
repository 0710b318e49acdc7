"""The examples run as the README shows them: a model is trained from scratch, saved, and scored with intervals."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from benchmark.pipeline import layout, workspace

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = REPOSITORY / "examples"
MODEL = """
import os
from open_clip_finetune import load
encode_image, encode_text = load(os.environ["WEIGHTS"])
"""


def python(*arguments: object, cwd: Path = REPOSITORY, status: int = 0, **more: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1", **more}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """160 studies of the embedded cohort, rendered and prepared."""
    folder = tmp_path_factory.mktemp("examples") / "workspace"
    workspace.create(folder, "smoke", REPOSITORY)
    if not list((folder / layout.MATERIALS).glob("*.whl")):
        pytest.skip(f"{layout.MATERIALS}/ is empty; run `python -m benchmark materials`")
    for command in (["materials"], *([stage, "mimic_cxr"] for stage in ("raw", "index", "decode", "prepare"))):
        python("-m", "benchmark", *command, cwd=folder, PYTHONPATH="")
    return folder / layout.cohort("mimic_cxr")


@pytest.fixture(scope="module")
def table(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same studies as somebody's own files and CSV, without patients and splits."""
    folder = tmp_path_factory.mktemp("own")
    index = pd.read_parquet(cohort / "index.parquet")
    index["path"] = [f"{row}.png" for row in range(len(index))]
    for name, pixels in zip(index["path"], np.load(cohort / "images.npy"), strict=True):
        Image.fromarray(pixels).save(folder / name)
    index.rename(columns={"patient_id": "patient"}).drop(columns="split").to_csv(folder / "own.csv", index=False)
    return folder / "own.csv"


@pytest.fixture(scope="module")
def trained(table: Path) -> tuple[Path, str]:
    """Weights of the first example, and what it printed."""
    weights = table.parent / "trained.safetensors"
    arguments = ["--csv", table, "--steps", 100, "--batch", 48, "--rate", 2e-3, "--save", weights]
    return weights, python(EXAMPLES / "open_clip_finetune.py", *arguments)


def scored(weights: Path, *source: object) -> str:
    model = weights.with_suffix(".py")
    model.write_text(MODEL)
    return python(EXAMPLES / "score_my_model.py", "--model", model, *source, WEIGHTS=str(weights))


def test_the_training_example_prints_the_auc_before_and_after(trained: tuple[Path, str]) -> None:
    printed = trained[1]
    assert re.search(r"training on 1\d\d images, testing on [2-4]\d", printed)
    before, after = map(float, re.findall(r"normal AUC (?:before|after): ([\d.]+)", printed))
    assert 0 <= before <= 1
    assert 0 <= after <= 1
    assert before != after
    assert "abnormal_contrastive_loss" in printed


def test_the_scoring_example_gives_aucs_with_intervals_of_what_was_trained(
    trained: tuple[Path, str], table: Path, cohort: Path
) -> None:
    printed = scored(trained[0], "--csv", table)
    rows = re.findall(r"^\| (.+?) \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|$", printed, re.MULTILINE)
    auc = {name: float(value) for name, value, *_ in rows}
    lower = {name: float(low) for name, _, low, _ in rows}
    assert lower['normal, "There is no finding" minus "There is finding"'] > 0.5  # most of these were trained on
    assert all(float(low) <= float(value) <= float(high) for _, value, low, high in rows)
    (worst,) = (value for name, value in auc.items() if "worst wording" in name)
    assert worst <= auc['normal, "There is no finding"']
    assert "findings, mean of" in printed
    # The CSV and the cohort hold the same studies, up to the name of a patient.
    assert scored(trained[0], "--cohort", cohort) == printed


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "gone.py", "--csv", "gone.csv"], r"gone\.py: expected a Python file with encode_image"),
        (["--model", EXAMPLES / "studies.py", "--csv", "gone.csv"], r"studies\.py lacks the function encode_image"),
    ],
)
def test_what_is_missing_is_named(arguments: list[object], sentence: str) -> None:
    said = python(EXAMPLES / "score_my_model.py", *arguments, status=1)
    assert re.search(sentence, said)
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, r"own\.csv is missing; run `dvc repro prepare` first"), ("path,report\n", "column 'normal' is missing")],
)
def test_a_table_that_cannot_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None, sentence: str
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    studies = importlib.import_module("studies")
    if content is not None:
        (tmp_path / "own.csv").write_text(content)
    with pytest.raises(SystemExit, match=sentence):
        studies.read(studies.arguments(None, "nowhere").parse_args(["--csv", str(tmp_path / "own.csv")]))


def test_the_guides_statistics_run_on_arrays() -> None:
    guide = (REPOSITORY / "docs/statistics.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, (200, 2)).astype(float)
    given = {"labels": labels, "scores": labels + random.normal(size=(200, 2)), "patients": np.arange(200) // 2}
    names = dict(given)
    exec(code, names)
    expected = [roc_auc_score(given["labels"][:, k], given["scores"][:, k]) for k in range(2)]
    assert [statistic.estimate for statistic in names["found"]] == pytest.approx(expected)
    bounds = names["interval"](names["found"][0], "logit", 0.95)
    assert bounds.low < expected[0] < bounds.high

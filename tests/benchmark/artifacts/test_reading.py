"""Every file that one stage hands to another: cut, emptied or missing, it is one sentence that names its stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmark.artifacts import captions, cohort, reading
from benchmark.artifacts.pairs import Pairs
from benchmark.artifacts.run import Run
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.evaluation import regions
from benchmark.pipeline import layout

RUN = Run("clip", 0)
HANDED: dict[Path, tuple[str, Callable[[], object]]] = {
    cohort.index_path("mimic_cxr"): ("prepare@mimic_cxr", lambda: cohort.read("mimic_cxr")),
    layout.cohort("open_i") / "images.npy": ("prepare@open_i", lambda: cohort.read("open_i")),
    layout.cohort("open_i") / "card.json": ("prepare@open_i", lambda: cohort.read("open_i")),
    layout.cohort("open_i") / "regions.parquet": ("prepare@open_i", lambda: regions.of(cohort.read("open_i"))),
    captions.SENTENCES: ("captions", captions.read),
    captions.STUDIES: ("captions", captions.read),
    captions.VOCABULARY: ("captions", captions.vocabulary),
    RUN.folder / "history.parquet": ("train@clip-0", lambda: Run("clip", 0).history),
    RUN.folder / "ledger.json": ("train@clip-0", lambda: Run("clip", 0).ledger),
    RUN.scores_folder / "score.json": ("score@clip-0", lambda: Run("clip", 0).card),
    RUN.scores_path("open_i"): ("score@clip-0", lambda: RUN.scores(cohort.read("open_i"))),
    RUN.scores_folder / "pointing.parquet": ("score@clip-0", lambda: RUN.pointing(cohort.read("open_i"))),
    RUN.scores_folder / "similarity.npz": ("score@clip-0", RUN.pairs),
    layout.RESULTS / "auc.csv": ("measure", lambda: reading.read_csv(layout.RESULTS / "auc.csv")),
}
"""File -> the stage that makes it, and how it is read."""


@pytest.fixture
def handed(here: Path) -> Path:
    """The evaluation's working directory with the small files that it lacks, each whole."""
    index = reading.read_table(cohort.index_path("open_i"))
    files.write_json(captions.VOCABULARY, ["clear", "lungs"])
    files.write_parquet(RUN.folder / "history.parquet", index[["image_id"]])
    files.write_json(RUN.folder / "ledger.json", {"steps": 20})
    hashes = dict.fromkeys(("prompts_hash", "weights_hash", "code_hash"), "x") | {"cohort_hash": {}}
    files.write_json(RUN.scores_folder / "score.json", hashes)
    files.write_parquet(RUN.scores_path("open_i"), index[["image_id"]])
    files.write_parquet(RUN.scores_folder / "pointing.parquet", index[["image_id"]].assign(dataset="open_i"))
    Pairs(np.eye(9, dtype=np.float32), np.arange(9) % 2 == 0, np.ones((9, 4), np.float32)).write(RUN.scores_folder)
    files.write_csv(layout.RESULTS / "auc.csv", index[["image_id"]])
    return here


@pytest.mark.parametrize("path", HANDED, ids=str)
def test_a_whole_file_is_read(handed: Path, path: Path) -> None:
    HANDED[path][1]()


@pytest.mark.parametrize("path", HANDED, ids=str)
@pytest.mark.parametrize("left", [0.0, 0.5, 0.9])
def test_a_cut_file_is_one_sentence_that_names_the_file_and_its_stage(handed: Path, path: Path, left: float) -> None:
    stage, read = HANDED[path]
    content = path.read_bytes()
    path.write_bytes(content[: int(left * len(content))])
    with pytest.raises(UserError) as refused:
        read()
    assert str(path) in str(refused.value)
    assert f"delete it and run `dvc repro {stage}`." in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("path", HANDED, ids=str)
def test_a_missing_file_names_the_stage_that_makes_it(handed: Path, path: Path) -> None:
    stage, read = HANDED[path]
    path.unlink()
    with pytest.raises(UserError) as refused:
        read()
    assert str(refused.value) == f"{path} is missing; run `dvc repro {stage}` to make it."


def test_a_file_without_what_is_asked_of_it_is_refused(handed: Path) -> None:
    with pytest.raises(UserError, match=r"index\.parquet cannot be read .*dvc repro prepare@open_i"):
        reading.read_table(cohort.index_path("open_i"), ["image_id", "no such column"])
    with pytest.raises(UserError, match=r"similarity\.npz cannot be read .*no such array.*dvc repro score@clip-0"):
        reading.read_arrays(RUN.scores_folder / "similarity.npz", ["no such array"])

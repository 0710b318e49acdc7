"""What the evaluation reads is checked before anything is scored."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.artifacts import cohort
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout


def test_a_split_keeps_the_rows_of_the_image_cache(here: Path) -> None:
    read = cohort.read("mimic_cxr", "validate")
    index = pd.read_parquet(layout.cohort("mimic_cxr") / "index.parquet")
    np.testing.assert_array_equal(read.rows, np.flatnonzero(index["split"] == "validate"))
    assert read.image_ids == list(index["image_id"].iloc[read.rows])


def test_labels_keep_what_is_uncertain_and_what_is_not_mentioned(here: Path) -> None:
    path = layout.cohort("mimic_cxr") / "index.parquet"
    index = pd.read_parquet(path)
    index.loc[:3, "label:Cardiomegaly"] = pd.array([1, 0, -1, pd.NA], dtype="Int8")
    files.write_parquet(path, index)
    np.testing.assert_array_equal(cohort.read("mimic_cxr").labels(["Cardiomegaly"])[:4, 0], [1, 0, -1, np.nan])


def test_a_study_that_trains_has_one_image(here: Path) -> None:
    path = layout.cohort("mimic_cxr") / "index.parquet"
    index = pd.read_parquet(path)
    index.loc[1, "study_id"] = index.loc[0, "study_id"]
    files.write_parquet(path, index)
    with pytest.raises(UserError, match=f"lists the study '{index.loc[0, 'study_id']}' twice, .*prepare@mimic_cxr"):
        cohort.read("mimic_cxr", "train")


@pytest.mark.parametrize("broken", ["shorter cache", "repeated image", "missing label", "missing cache", "no split"])
def test_a_cohort_that_does_not_fit_together_is_refused(here: Path, broken: str) -> None:
    folder, split = layout.cohort("vindr_cxr"), "test"
    index = pd.read_parquet(folder / "index.parquet")
    if broken == "shorter cache":
        np.save(folder / "images.npy", np.load(folder / "images.npy")[1:])
        message = r"holds uint8 \(39, 32, 32\), index.parquet has 40 rows"
    elif broken == "repeated image":
        index.loc[1, "image_id"] = index.loc[0, "image_id"]
        message = f"lists the image '{index.loc[0, 'image_id']}' twice"
    elif broken == "missing label":
        index = index.drop(columns="label:Cardiomegaly")
        message = "has no column 'label:Cardiomegaly'"
    elif broken == "missing cache":
        (folder / "images.npy").unlink()
        message = "images.npy is missing; run `dvc repro"
    else:
        split, message = "validate", "has no image of split 'validate'"
    files.write_parquet(folder / "index.parquet", index)
    with pytest.raises(UserError, match=message):
        cohort.read("vindr_cxr", split)


@pytest.mark.parametrize("name", ["index.parquet", "images.npy", "card.json"])
@pytest.mark.parametrize("spoilt", [b"", b"\x00" * 50, b"PAR1 and no more"])
def test_a_spoilt_file_is_one_sentence(here: Path, name: str, spoilt: bytes) -> None:
    (layout.cohort("vindr_cxr") / name).write_bytes(spoilt)
    with pytest.raises(UserError, match=rf"vindr_cxr/{name} cannot be read.*dvc repro prepare@vindr_cxr"):
        cohort.read("vindr_cxr", "test")

"""The rule that chooses the validation pairs, and what a run stored of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.artifacts import cohort, pairs
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout


def test_a_caption_says_what_its_report_says() -> None:
    sentences = pd.DataFrame(
        [
            ("s1", 2, "effusion on the left", False),
            ("s1", 0, "heart is normal", True),
            ("s1", 1, "edema", False),
            ("s2", 1, "lungs are clear", True),
            ("s2", 0, "heart is normal", True),
            ("s3", 0, "only a normal sentence", True),
        ],
        columns=["study_id", "position", "text", "normal"],
    )
    studies = pd.DataFrame({"study_id": ["s1", "s2", "s3"], "normal": [False, True, False]})
    captions = pairs.captions_of(sentences, studies)
    assert list(captions["study_id"]) == ["s1", "s2"]
    assert list(captions["text"]) == ["edema", "heart is normal"]
    assert list(captions["normal"]) == [False, True]


def test_a_pair_is_an_image_with_its_patient_and_the_caption_of_its_study(here: Path) -> None:
    validation = cohort.read("mimic_cxr", "validate")
    sentences = pd.read_parquet(layout.CAPTIONS / "sentences.parquet")
    files.write_parquet(layout.CAPTIONS / "sentences.parquet", sentences.iloc[::-1])
    found = pairs.chosen_pairs(validation)
    assert list(found["row"]) == list(validation.rows)
    assert list(found["patient_id"]) == list(validation.index["patient_id"])
    assert list(found["normal"]) == list(validation.normal == 1)
    assert set(zip(found["normal"], found["text"], strict=True)) == {
        (True, "the lungs are clear"),
        (False, "there is pleural effusion"),
    }


def test_pairs_that_the_captions_do_not_give_are_refused(here: Path) -> None:
    folder = layout.scores("clip", 0)
    folder.mkdir(parents=True)
    normal = np.array([True, False, True])
    pairs.Pairs(np.eye(3, dtype=np.float32), normal, np.ones((3, 2), np.float32)).write(folder)
    stored = pairs.Pairs.read(folder)
    assert (stored.logits.shape, stored.image_embedding.shape) == ((3, 3), (3, 2))
    stored.check(folder, normal)
    with pytest.raises(UserError, match=r"similarity\.npz holds other pairs than data/captions gives.*score@clip-0"):
        stored.check(folder, ~normal)

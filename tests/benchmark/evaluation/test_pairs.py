"""The similarity matrix pairs every image with its own caption, the same for every system."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.artifacts import cohort
from benchmark.artifacts import pairs as chosen
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.evaluation import pairs
from benchmark.evaluation.zero_shot import Scorer
from benchmark.pipeline import layout, settings


def test_the_diagonal_holds_each_image_with_its_own_caption(here: Path) -> None:
    validation = cohort.read("mimic_cxr", "validate")
    scorer = Scorer.restore(layout.run("carzero", 0) / "model.safetensors", settings.load().scoring)
    found = pairs.validation_pairs(scorer, validation)
    n = len(validation.rows)
    assert found.logits.shape == (n, n)
    np.testing.assert_array_equal(found.normal, validation.normal == 1)
    assert found.image_embedding.shape == (n, 16)
    own = ["the lungs are clear" if normal else "there is pleural effusion" for normal in found.normal]
    ((_, features),) = scorer.batches(validation.images, validation.rows)
    for k in (0, n // 2, n - 1):
        np.testing.assert_allclose(
            found.logits[:, k], scorer.similarity(features, scorer.encode([own[k]]))[:, 0], atol=1e-5
        )


def test_large_splits_are_sampled_evenly(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen, "MOST_PAIRS", 4)
    validation = cohort.read("mimic_cxr", "validate")
    scorer = Scorer.restore(layout.run("clip", 0) / "model.safetensors", settings.load().scoring)
    found = pairs.validation_pairs(scorer, validation)
    expected = validation.normal[np.linspace(0, len(validation.rows) - 1, 4).round().astype(int)] == 1
    np.testing.assert_array_equal(found.normal, expected)


def test_captions_of_other_studies_are_refused(here: Path) -> None:
    path = layout.CAPTIONS / "studies.parquet"
    files.write_parquet(path, pd.read_parquet(path).assign(study_id="elsewhere"))
    scorer = Scorer.restore(layout.run("clip", 0) / "model.safetensors", settings.load().scoring)
    with pytest.raises(UserError, match=r"no study of .* is in the validation split of mimic_cxr"):
        pairs.validation_pairs(scorer, cohort.read("mimic_cxr", "validate"))

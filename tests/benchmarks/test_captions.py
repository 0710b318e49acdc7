"""How long captions take: a batch of 64 from 6,000 studies, and the rules per sentence."""

import numpy as np
import pandas as pd
import pytest

from benchmark.training.captions import CaptionSampler
from offclip.mentions import _mentions, plain

pytestmark = pytest.mark.benchmark(group="captions")
SENTENCE = "Mild cardiomegaly with small bilateral pleural effusions, no pneumothorax or focal consolidation"


@pytest.fixture(scope="module")
def sampler() -> CaptionSampler:
    ids = np.repeat([f"s{number}" for number in range(6000)], 6)
    sentences = pd.DataFrame(
        {
            "study_id": ids,
            "position": np.tile(np.arange(6), 6000),
            "text": SENTENCE,
            "prompted": "There is cardiomegaly. There is no pneumothorax.",
            "normal": np.tile([True, False], 18000),
        }
    )
    studies = pd.DataFrame({"study_id": pd.unique(ids), "normal": False})
    return CaptionSampler(sentences, studies, studies["study_id"].tolist(), "filtered", 0.5, 0)


def test_a_batch_of_64(benchmark, sampler: CaptionSampler) -> None:
    rows = np.random.default_rng(0).integers(0, 6000, 64)
    texts, _ = benchmark(sampler, rows, 3)
    assert len(texts) == 64


def test_rules_on_one_sentence(benchmark) -> None:
    assert len(benchmark(_mentions.__wrapped__, plain(SENTENCE))) == 4

"""Scoring with the complete released models: nearly all of the time is their image towers'.

    pytest tests/benchmarks/test_released_speed.py --benchmark-only

Random weights of the released sizes, the prompts of PadChest's labels, text features computed once. A sample of images
in batches stands for a thousand: every batch costs the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from baselines.gloria_released import GLoRIAReleased, GLoRIAReleasedOptions
from baselines.medclip import MedCLIP, MedCLIPOptions
from baselines.released import IN_RECIPE, Released
from baselines.towers.bert import SPECIAL
from benchmark.cohort import padchest
from benchmark.evaluation import prompts

IMAGES, BATCH, PROMPTS = 96, 16, 193
SHARE = 0.9


def _sentences() -> list[str]:
    """What asks for each label of PadChest."""
    book = prompts.load()
    labels = (Path(padchest.__file__).parent / "padchest_labels.csv").read_text(encoding="utf-8").splitlines()[1:]
    return [prompts.finding_sentence(book, "padchest", label) for label in labels]


SENTENCES = _sentences()
PIECES = [*SPECIAL, *sorted({word for text in SENTENCES for word in text.lower().replace("/", " ").split()})]
MODELS: dict[str, Callable[[], Released]] = {
    "GLoRIA": lambda: GLoRIAReleased(GLoRIAReleasedOptions(IN_RECIPE), PIECES),
    "MedCLIP Swin-Tiny": lambda: MedCLIP(MedCLIPOptions(IN_RECIPE, vision="vit"), PIECES),
    "MedCLIP ResNet-50": lambda: MedCLIP(MedCLIPOptions(IN_RECIPE, vision="resnet"), PIECES),
}


@pytest.mark.benchmark(group="released")
@pytest.mark.parametrize("name", MODELS)
def test_scoring_with_193_prompts_takes_the_time_of_the_image_tower(benchmark: BenchmarkFixture, name: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    pixels = torch.rand(IMAGES, 1, 256, 256)
    seconds: dict[str, list[float]] = {"tower": [], "pairs": []}

    def score() -> None:
        for part in pixels.split(BATCH):
            started = time.perf_counter()
            images = model.encode_images(part)
            encoded = time.perf_counter()
            model.similarity(images, texts)
            seconds["tower"].append(encoded - started)
            seconds["pairs"].append(time.perf_counter() - encoded)

    with torch.inference_mode():
        texts = model.encode_texts(model.tokenize(SENTENCES))
        benchmark.pedantic(score, rounds=1)
    # The fastest batch of each, since others may have been using the machine during the rest.
    tower, pairs = (min(found) for found in seconds.values())
    share = tower / (tower + pairs)
    benchmark.extra_info |= {
        "prompts": len(SENTENCES),
        "images a second": round(BATCH / (tower + pairs), 2),
        "share of the image tower": round(share, 3),
        "target": SHARE,
    }
    assert len(SENTENCES) == PROMPTS
    assert share >= SHARE

"""How long training steps and scoring calls take (``pytest --benchmark-only``), and what the published size needs."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import torch

from baselines.base import load
from offclip import objective

ENCODERS: dict[str, dict[str, Any]] = {"image": {"kind": "conv"}, "text": {"kind": "words"}}
WORDS = [f"{first}{second}word" for first in "abcdefghijklmnopqrst" for second in "abcdefghijklmnopqrst"]
BATCH = 64


def _texts(count: int) -> list[str]:
    """Ten words each, drawn evenly from the vocabulary."""
    return [" ".join(WORDS[(7 * row + 13 * place) % len(WORDS)] for place in range(10)) for row in range(count)]


@pytest.mark.parametrize("name", ["clip", "convirt", "gloria", "carzero"])
def test_training_step_at_batch_64_and_80_pixels(benchmark: Any, name: str) -> None:
    torch.manual_seed(0)
    model, rule = load(name, ENCODERS, {}, WORDS), objective.build("off_clip")
    optimizer = torch.optim.AdamW([*model.parameters(), *rule.parameters()], lr=2e-3)
    pixels, is_normal, tokens = torch.rand(BATCH, 1, 80, 80), torch.rand(BATCH) < 0.4, model.tokenize(_texts(BATCH))

    def step() -> None:
        matrices = model.pair_logits(model.encode_images(pixels), model.encode_texts(tokens))
        loss = sum((rule(matrix, is_normal) for matrix in matrices), torch.zeros(()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    benchmark.pedantic(step, rounds=10, warmup_rounds=3)


@pytest.mark.parametrize("name", ["clip", "gloria", "carzero"])
def test_scoring_128_images_with_200_prompts(benchmark: Any, name: str) -> None:
    torch.manual_seed(0)
    model = load(name, ENCODERS, {}, WORDS).eval()
    with torch.no_grad():
        images = model.encode_images(torch.rand(128, 1, 80, 80))
        texts = model.encode_texts(model.tokenize(_texts(200)))
        benchmark.pedantic(lambda: model.similarity(images, texts), rounds=5, warmup_rounds=1)


def test_training_step_of_the_published_size_at_batch_8(benchmark: Any) -> None:
    """In a process of its own for the memory; most of the time is building 220 M parameters and importing."""
    printed: list[str] = []

    def run() -> None:
        command = [sys.executable, "-m", "tests.baselines.full_size_step"]
        printed.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    benchmark.pedantic(run, rounds=1, warmup_rounds=0)
    found = re.search(r"([\d.]+) s, ([\d.]+) GB", printed[0])
    assert found
    benchmark.extra_info["step_seconds"], benchmark.extra_info["peak_gigabytes"] = map(float, found.groups())
    print(f"\n{printed[0].strip()}")

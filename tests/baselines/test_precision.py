"""Under bfloat16 autocast scores keep float32: images that differ do not tie."""

from __future__ import annotations

import pytest
import torch

from baselines.base import load

ENCODERS = {"image": {"kind": "conv", "width": 8, "dim": 32}, "text": {"kind": "words", "dim": 32}}
IMAGES = 400


@pytest.mark.parametrize("name", ["clip", "convirt", "gloria", "carzero"])
def test_scores_of_different_images_do_not_tie(name: str) -> None:
    torch.manual_seed(0)
    model = load(name, ENCODERS, {}, ["effusion", "normal"]).eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        images = model.encode_images(torch.rand(IMAGES, 1, 32, 32))
        scores = model.pair_logits(images, model.encode_texts(model.tokenize(["effusion", "normal"])))[0]
    assert scores.dtype == torch.float32
    # bfloat16 has 8 significant bits: rounded scores of alike images would have a few dozen values.
    assert len(scores[:, 0].unique()) > 0.9 * IMAGES

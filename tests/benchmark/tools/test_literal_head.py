"""The literal published head computes the shipped one's function, so that their times compare one function."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from benchmark.tools.gpu_check import PUBLISHED_SIZE, Head, feature_gradients, features
from benchmark.tools.literal_head import LiteralHead


@pytest.mark.parametrize(("images", "texts"), [(5, 5), (2, 40), (40, 2)])
def test_scores_and_gradients_are_the_same_in_float64(images: int, texts: int) -> None:
    size = replace(PUBLISHED_SIZE, width=32, grid=4, slots=9)
    torch.manual_seed(0)
    head = Head(size.width).double()
    literal = LiteralHead(head.fusion).double()
    pair = features(size, images, texts, torch.device("cpu"), torch.float64)
    for ours, theirs in zip(head.pair_logits(*pair), literal.pair_logits(*pair), strict=True):
        assert ours.shape == (images, texts)
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    ours, theirs = (feature_gradients(way.pair_logits, *pair) for way in (head, literal))
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)

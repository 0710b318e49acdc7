"""Embedded-size models and realistic inputs that the tests of this package share."""

from __future__ import annotations

import pytest
import torch

ENCODERS = {"image": {"kind": "conv", "width": 8, "dim": 32}, "text": {"kind": "words", "dim": 32}}
TEXTS = [
    "There is no pneumothorax or pleural effusion.",
    "There is a small left pleural effusion.",
    "The heart is enlarged.",
    "Calcified granuloma in the right upper lobe, 3.5 cm.",
    "",
]
VOCABULARY = ["there", "is", "no", "a", "left", "right", "pleural", "effusion", "heart", "enlarged", "the", "upper"]


@pytest.fixture
def pixels() -> torch.Tensor:
    """Five pictures of 48 px."""
    return torch.rand(5, 1, 48, 48, generator=torch.Generator().manual_seed(1))

"""Embedded-size models, realistic inputs and the complete published model that the tests of this package share."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from baselines.carzero import CARZero
from tests import parity
from tests.baselines import quirks

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
    """Five images of 48 px."""
    return torch.rand(5, 1, 48, 48, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="package")
def released_weights() -> dict[str, Tensor]:
    """The 434 tensors of the complete model under their released names; 0.8 GB, hence made once."""
    return parity.filled("full_model")


@pytest.fixture(scope="package")
def released_model(released_weights: dict[str, Tensor]) -> CARZero:
    """The complete model with those tensors, in evaluation mode; tests leave it as it is."""
    return quirks.published_model(released_weights)

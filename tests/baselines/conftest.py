"""Embedded-size models, realistic inputs and the complete published model that the tests of this package share."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator

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


@pytest.fixture(scope="module", autouse=True)
def _memory_back() -> Iterator[None]:
    """Models of published size are gone with the file that made them: two processes must fit into 8 GB."""
    yield
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # what C++ freed is the system's again


@pytest.fixture(scope="module")
def released_weights() -> dict[str, Tensor]:
    """The 434 tensors of the complete model under their released names; 0.8 GB, hence made once a file."""
    return parity.filled("full_model")


@pytest.fixture(scope="module")
def released_model(released_weights: dict[str, Tensor]) -> CARZero:
    """The complete model with those tensors, in evaluation mode; tests leave it as it is."""
    return quirks.published_model(released_weights)

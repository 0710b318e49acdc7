"""What is known of the models that people can download: releases.toml, typed. Imports no torch.

A system of params.yaml names its release (``release: gloria``), so that reports can say what the model has seen, and
``doctor`` which files are there.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path("weights")
"""Where a user puts the files, in the working directory."""
SEEN = {
    "seen": "its images were trained on (other parts than those scored here)",
    "chosen": "the file was chosen by its result on a part of the dataset",
    "reports": "its reports were read by the text tower; no image was trained on",
    "unknown": "the training data are not listed",
}
"""What a release may know of a dataset, beside "no"; the gravest first."""


@dataclass(frozen=True)
class File:
    """One file of a release."""

    path: str
    """Below ``FOLDER``."""
    option: str
    """The option that names this file or the folder that holds it: ``checkpoint``, ``tokenizer`` or ``text_model``."""
    page: str
    """The page that names it."""
    instead: str = ""
    """Another name that the same file may have there."""
    needed: bool = True
    """False where the model has a default without it."""


@dataclass(frozen=True)
class Release:
    """One published set of weights; the fields are those of releases.toml."""

    key: str
    name: str
    source: str
    model: str
    """The file of baselines/ that reads it."""
    size: int
    """Smallest side of the cached square, pixels."""
    architecture: str
    trained: str
    score: str
    heatmap: str
    """"" where none is published."""
    own_prompts: str
    """"" where the harness offers none."""
    licence: str
    seen: Mapping[str, str]
    """Dataset -> "no" or a key of ``SEEN``."""
    files: tuple[File, ...]


@cache
def read() -> dict[str, Release]:
    """Every known release, by its key."""
    with (Path(__file__).parent / "releases.toml").open("rb") as file:
        return {key: _release(key, values) for key, values in tomllib.load(file).items()}


def _release(key: str, values: dict[str, Any]) -> Release:
    return Release(key=key, **{**values, "files": tuple(File(**one) for one in values["files"])})

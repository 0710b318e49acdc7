"""Images made by several processes: the same ones in the same order, and an end when one of them is killed."""

from __future__ import annotations

import os
import signal
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.cohort.phantom.render import Radiograph
from benchmark.cohort.phantom.rendering import Job, Write, rendered
from benchmark.cohort.phantom.studies import Study, choose


def described(study: Study, image: Radiograph, repeat: int, root: Path) -> dict[str, Any]:
    """What there is to compare of an image."""
    return {"study": study.number, "grey": image.grey}


def killed(study: Study, image: Radiograph, repeat: int, root: Path) -> dict[str, Any]:
    """As the kernel does where memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


@pytest.fixture
def studies(anatomy, reports) -> list[Study]:
    return choose("chexpert", 20, seed=3)


def jobs(studies: list[Study], write: Write) -> list[Job]:
    return [Job(study, 0, 48, 3, Path(), write) for study in studies]


def test_two_processes_make_what_one_makes(studies: list[Study]) -> None:
    alone, together = (list(rendered(jobs(studies, described), workers)) for workers in (1, 2))
    assert [row["study"] for row in together] == [study.number for study in studies]
    assert all(np.array_equal(a["grey"], b["grey"]) for a, b in zip(alone, together, strict=True))


def test_a_worker_that_is_killed_ends_the_rendering(studies: list[Study]) -> None:
    with pytest.raises(BrokenExecutor):
        list(rendered(jobs(studies, killed), workers=2))

"""Studies -> images, in worker processes, in an order that does not depend on their number."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.cohort.phantom import anatomy as anatomy_module
from benchmark.cohort.phantom.acquisition import STYLES
from benchmark.cohort.phantom.anatomy import Anatomy
from benchmark.cohort.phantom.render import Build, Radiograph, render
from benchmark.cohort.phantom.studies import Study, generator


@dataclass(frozen=True)
class Patient:
    """What the tables of a release say of a patient."""

    female: bool
    age: int


def patient_of(study: Study, seed: int) -> Patient:
    """Sex and age of a study's patient: the table's where it has them, else drawn."""
    rng = generator(seed, study.dataset, 1, study.patient)
    female, age = bool(rng.random() < 0.48), int(np.clip(rng.normal(57, 17), 18, 95))
    return Patient(female if study.female is None else study.female, age if study.age is None else study.age)


def image_of(anatomy: Anatomy, study: Study, size: int, seed: int, repeat: int = 0) -> Radiograph:
    """Render one frontal image of a study; ``repeat`` numbers further images of the same study."""
    patient = patient_of(study, seed)
    build = Build.of(generator(seed, study.dataset, 2, study.patient), patient.female, patient.age)
    rng = generator(seed, study.dataset, 3, study.number, repeat)
    return render(anatomy, build, study.findings, STYLES[study.dataset], size, rng, study.view)


Write = Callable[[Study, Radiograph, int, Path], dict[str, Any]]
"""(study, image, repeat, root) -> what the tables need to know of the image; writes the image file."""


@dataclass(frozen=True)
class Job:
    """One image to make."""

    study: Study
    repeat: int
    size: int
    seed: int
    root: Path
    write: Write


_anatomy: Anatomy | None = None


def _start() -> None:
    global _anatomy
    import cv2

    cv2.setNumThreads(1)
    _anatomy = anatomy_module.load()


def _work(job: Job) -> dict[str, Any]:
    assert _anatomy is not None  # set by _start in this process
    image = image_of(_anatomy, job.study, job.size, job.seed, job.repeat)
    return job.write(job.study, image, job.repeat, job.root)


def rendered(jobs: list[Job], workers: int) -> Iterator[dict[str, Any]]:
    """Run the jobs in ``workers`` processes; yield their results in the jobs' order."""
    anatomy_module.load()  # made once here, read by the workers
    if workers == 1:
        _start()
        yield from map(_work, jobs)
        return
    # An executor, unlike a Pool, does not wait for ever for a worker that the kernel has killed.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("forkserver"), _start) as pool:
        yield from pool.map(_work, jobs, chunksize=16)

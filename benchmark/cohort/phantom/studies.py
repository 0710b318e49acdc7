"""Which studies of which patients a phantom set holds: the cohort before any image exists.

Training studies are imaged from the Open-I reports of one side of the partition, the phantom Open-I from those of the
other. VinDr-CXR, CheXpert and PadChest are imaged from rows of their own public label tables (cases.py), so that no
two evaluation sets share their patients. Everything depends on (seed, dataset) alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from benchmark.cohort.phantom import cases, vocabulary
from benchmark.cohort.phantom.findings.finding import Finding, plan
from benchmark.common.errors import UserError
from benchmark.materials import contents, label_tables, partition
from benchmark.materials.open_i_report import OpenIReport
from benchmark.pipeline import layout

NORMAL_SHARE = 0.36
"""Of the training studies; every evaluation set has the share of its own reports or table."""
VALIDATE_SHARE = 0.05
STUDIES_PER_PATIENT = 1.6
"""Of the training set."""
UNINDEXED = frozenset({"No Indexing", "Technical Quality of Image Unsatisfactory"})


@dataclass(frozen=True)
class Study:
    """One study to be rendered."""

    dataset: str
    number: int
    """Position in the dataset, from 0."""
    patient: int
    """Number of the patient in the dataset, from 0."""
    findings: tuple[Finding, ...]
    normal: bool
    split: str
    """``train``, ``validate`` or ``test``."""
    source: str
    """``report <uid>`` of Open-I, or ``row <number>`` of the dataset's table."""
    report: OpenIReport | None = None
    found: frozenset[str] = frozenset()
    """Labels of a table's row, in the release's words."""
    view: Literal["PA", "AP", ""] = ""
    """Empty where the dataset's style decides."""
    female: bool | None = None
    """None where nothing says."""
    age: int | None = None
    """Years."""

    @property
    def kinds(self) -> set[str]:
        """Kinds of its findings."""
        return {finding.kind for finding in self.findings}

    @property
    def labels(self) -> set[str]:
        """Positive labels: of its row where it has one, else the CheXpert labels of what is drawn."""
        return set(self.found) if self.report is None else vocabulary.labels(self.kinds)

    @property
    def text(self) -> OpenIReport:
        """The report that it images.

        Raises:
            ValueError: it images a row of a table.
        """
        if self.report is None:
            raise ValueError(f"study {self.number} of {self.dataset} has no report")
        return self.report


def generator(seed: int, dataset: str, *numbers: int) -> np.random.Generator:
    """The random generator of one thing in one dataset, independent of all others and of any order."""
    return np.random.default_rng([seed, layout.DATASETS.index(dataset), *numbers])


def choose(dataset: str, count: int, seed: int, folder: Path = layout.MATERIALS) -> list[Study]:
    """The studies of one phantom dataset.

    Args:
        dataset: a name of ``layout.DATASETS``.
        count: number of studies.
        seed: ``phantom.seed`` of params.yaml.
        folder: where the public material lies.

    Raises:
        UserError: more studies are asked for than there are reports or rows.
    """
    rng = generator(seed, dataset)
    if dataset == layout.TRAINING_DATASET:
        return _training(reports(folder), count, rng)
    if dataset == "open_i":
        return _open_i(reports(folder), count, rng, folder)
    table = cases.usable(label_tables.read(dataset, folder))
    _refuse_above(dataset, count, cases.available(table), "usable rows of its table")
    patients: dict[str, int] = {}
    return [
        Study(
            dataset,
            number,
            patients.setdefault(row.patient, len(patients)),
            tuple(cases.findings_of(dataset, row, generator(seed, dataset, 6, number))),
            row.normal,
            "test",
            f"row {row.number}",
            found=cases.labels_of(dataset, row),
            view=row.view,
            female=row.female,
            age=row.age,
        )
        for number, row in enumerate(cases.sampled(table, count, rng))
    ]


def reports(folder: Path = layout.MATERIALS) -> list[OpenIReport]:
    """The Open-I reports, read once in a process."""
    return _reports(folder.resolve())


@cache
def _reports(folder: Path) -> list[OpenIReport]:
    return contents.open_i_reports(folder)


def view_of(report: OpenIReport, folder: Path = layout.MATERIALS) -> Literal["PA", "AP", ""]:
    """The view of a report's first frontal image by the DICOM headers; empty where they call none frontal."""
    views = _views(folder.resolve())
    found = next((views[name] for name in report.image_ids if views.get(name) in ("PA", "AP")), "")
    return "AP" if found == "AP" else "PA" if found else ""


@cache
def _views(folder: Path) -> dict[str, str]:
    return contents.open_i_views(folder)


def _refuse_above(dataset: str, count: int, held: int, what: str) -> None:
    if count > held:
        raise UserError(f"phantom.studies.{dataset} is {count}, but only {held} {what} exist; lower it.")


def side_of(given: Sequence[OpenIReport], side: partition.Side) -> list[OpenIReport]:
    """The indexed reports of one side of the partition."""
    mine = [report for report in given if partition.side(report.text) == side]
    return [report for report in mine if not UNINDEXED & set(report.major)]


def open_i_pool(given: Sequence[OpenIReport]) -> list[OpenIReport]:
    """The reports that the phantom Open-I images: those of the evaluation side that name an image."""
    return [report for report in side_of(given, "evaluation") if report.image_ids]


def _open_i(given: Sequence[OpenIReport], count: int, rng: np.random.Generator, folder: Path) -> list[Study]:
    """Each report once, in random order, in the view of its first frontal image."""
    pool = open_i_pool(given)
    _refuse_above("open_i", count, len(pool), "evaluation reports")
    chosen = [pool[index] for index in rng.permutation(len(pool))[:count]]
    studies = [_of_report("open_i", number, number, report, "test") for number, report in enumerate(chosen)]
    return [replace(study, view=view_of(study.text, folder)) for study in studies]


def _of_report(dataset: str, number: int, patient: int, report: OpenIReport, split: str) -> Study:
    found = tuple(plan(report.major))
    return Study(dataset, number, patient, found, report.normal, split, f"report {report.uid}", report)


def _training(given: Sequence[OpenIReport], count: int, rng: np.random.Generator) -> list[Study]:
    """Studies of both training splits, which share neither a text nor a patient."""
    pools: dict[str, list[OpenIReport]] = {"train": [], "validate": []}
    for report in side_of(given, "training"):
        held = partition.fraction(f"validate {partition.normalised(report.text)}") < VALIDATE_SHARE
        pools["validate" if held else "train"].append(report)
    studies: list[Study] = []
    patient = -1
    wanted = {"train": round(count * (1 - VALIDATE_SHARE))}
    wanted["validate"] = count - wanted["train"]
    for split, pool in pools.items():
        left = 0
        for report in _choose(pool, wanted[split], rng):
            if left == 0:
                patient += 1
                left = int(rng.geometric(1 / STUDIES_PER_PATIENT))
            left -= 1
            studies.append(_of_report(layout.TRAINING_DATASET, len(studies), patient, report, split))
    return studies


def _choose(pool: list[OpenIReport], count: int, rng: np.random.Generator) -> list[OpenIReport]:
    """``count`` reports of one pool in random order: every normal one before any again, abnormal ones by chance."""
    normal = [report for report in pool if report.normal]
    abnormal = [report for report in pool if not report.normal and plan(report.major)]
    normals = round(count * NORMAL_SHARE)
    rounds = -(-normals // len(normal)) if normals else 0
    order = [index for _ in range(rounds) for index in rng.permutation(len(normal))]
    chosen = [normal[index] for index in order[:normals]]
    chosen += [abnormal[index] for index in rng.choice(len(abnormal), size=count - normals, p=_weights(abnormal))]
    return [chosen[index] for index in rng.permutation(len(chosen))]


def _weights(given: Sequence[OpenIReport]) -> np.ndarray:
    """Chance of each abnormal training report: higher where it carries a rare label, at most eightfold."""
    carried = [vocabulary.labels({finding.kind for finding in plan(report.major)}) for report in given]
    counts = Counter(label for found in carried for label in found)
    common = max(counts.values(), default=1)
    rarity = [max(((common / counts[label]) ** 0.25 for label in found), default=1.0) for found in carried]
    weights = np.minimum(np.array(rarity), 8.0)
    return weights / weights.sum()

"""Which report is imaged in which study of which patient: the cohort before any image exists.

Training studies draw from the reports of one side of the partition, evaluation studies from the
other. Each dataset has its share of normal studies; abnormal reports are drawn so that the rarer
labels of the dataset's vocabulary still occur. Everything depends on (seed, dataset) alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.cohort.phantom.findings.finding import Finding, plan
from benchmark.cohort.phantom.vocabulary import VINDR_LOCAL, labels
from benchmark.common.errors import UserError
from benchmark.materials import partition
from benchmark.materials.open_i_report import OpenIReport
from benchmark.pipeline import layout

NORMAL_SHARE = {"mimic_cxr": 0.36, "vindr_cxr": 0.683, "chexpert": 0.2, "padchest": 0.35}
"""Open-I is what its reports say."""
VALIDATE_SHARE = 0.05
STUDIES_PER_PATIENT = {"mimic_cxr": 1.6, "vindr_cxr": 1.0, "open_i": 1.0, "chexpert": 1.0, "padchest": 1.4}
UNINDEXED = frozenset({"No Indexing", "Technical Quality of Image Unsatisfactory"})


@dataclass(frozen=True)
class Study:
    """One study to be rendered."""

    dataset: str
    number: int
    """Position in the dataset, from 0."""
    patient: int
    """Number of the patient in the dataset, from 0."""
    report: OpenIReport
    findings: tuple[Finding, ...]
    split: str
    """``train``, ``validate`` or ``test``."""

    @property
    def kinds(self) -> set[str]:
        """Kinds of its findings."""
        return {finding.kind for finding in self.findings}

    @property
    def labels(self) -> set[str]:
        """Positive labels of the dataset's vocabulary."""
        return labels(self.dataset, self.kinds)

    @property
    def normal(self) -> bool:
        """Whether its report is tagged ``normal`` and nothing else."""
        return self.report.normal


def generator(seed: int, dataset: str, *numbers: int) -> np.random.Generator:
    """The random generator of one thing in one dataset, independent of all others and of any order."""
    return np.random.default_rng([seed, layout.DATASETS.index(dataset), *numbers])


def _pools(dataset: str, reports: Sequence[OpenIReport]) -> list[tuple[str, float, list[OpenIReport]]]:
    """(split, share of the studies, reports to draw from)."""
    wanted = "training" if dataset == layout.TRAINING_DATASET else "evaluation"
    mine = [report for report in reports if partition.side(report.text) == wanted]
    mine = [report for report in mine if not UNINDEXED & set(report.major)]
    if dataset == "open_i":  # a report of the release that names no image has none to show
        mine = [report for report in mine if report.image_ids]
    if wanted == "evaluation":
        return [("test", 1.0, mine)]
    held = [
        report
        for report in mine
        if partition.fraction(f"validate {partition.normalised(report.text)}") < VALIDATE_SHARE
    ]
    kept = [
        report
        for report in mine
        if partition.fraction(f"validate {partition.normalised(report.text)}") >= VALIDATE_SHARE
    ]
    return [("train", 1 - VALIDATE_SHARE, kept), ("validate", VALIDATE_SHARE, held)]


def _shuffled(items: Sequence[OpenIReport], count: int, rng: np.random.Generator) -> list[OpenIReport]:
    """``count`` items, each used once before any is used again."""
    if count == 0:
        return []
    rounds = -(-count // len(items))
    order = np.concatenate([rng.permutation(len(items)) for _ in range(rounds)])[:count]
    return [items[index] for index in order]


def _weights(dataset: str, reports: Sequence[OpenIReport]) -> np.ndarray:
    """Chance of each abnormal report: higher where it carries a rare label, at most eightfold."""
    carried = [labels(dataset, {finding.kind for finding in plan(report.major)}) for report in reports]
    counts = Counter(label for found in carried for label in found)
    common = max(counts.values(), default=1)
    power = 0.25 if dataset == layout.TRAINING_DATASET else 0.5
    rarity = [max(((common / counts[label]) ** power for label in found), default=1.0) for found in carried]
    weights = np.minimum(np.array(rarity), 8.0)
    return weights / weights.sum()


def _eligible(dataset: str, report: OpenIReport) -> bool:
    """Whether an abnormal report has something to draw that the dataset has a word for."""
    found = plan(report.major)
    if dataset == "vindr_cxr":  # the release's abnormal images carry at least one boxed label
        return bool(labels(dataset, {finding.kind for finding in found}) & set(VINDR_LOCAL))
    if dataset == "chexpert":
        return bool(labels(dataset, {finding.kind for finding in found}))
    return bool(found)


def _choose(dataset: str, pool: list[OpenIReport], count: int, rng: np.random.Generator) -> list[OpenIReport]:
    """``count`` reports of one pool in random order."""
    if dataset == "open_i":
        if count > len(pool):
            raise UserError(
                f"phantom.studies.open_i is {count}, but only {len(pool)} evaluation reports exist; lower it."
            )
        return _shuffled(pool, count, rng)
    normal = [report for report in pool if report.normal]
    abnormal = [report for report in pool if not report.normal and _eligible(dataset, report)]
    normals = round(count * NORMAL_SHARE[dataset])
    chosen = _shuffled(normal, normals, rng)
    indices = rng.choice(len(abnormal), size=count - normals, p=_weights(dataset, abnormal))
    chosen += [abnormal[index] for index in indices]
    return [chosen[index] for index in rng.permutation(len(chosen))]


def choose(dataset: str, reports: Sequence[OpenIReport], count: int, seed: int) -> list[Study]:
    """The studies of one phantom dataset.

    Args:
        dataset: a name of ``layout.DATASETS``.
        reports: all Open-I reports.
        count: number of studies.
        seed: ``phantom.seed`` of params.yaml.

    Raises:
        UserError: more Open-I studies are asked for than there are evaluation reports.
    """
    rng = generator(seed, dataset)
    pools = _pools(dataset, reports)
    studies: list[Study] = []
    patient = -1
    for position, (split, share, pool) in enumerate(pools):
        last = position == len(pools) - 1
        wanted = count - len(studies) if last else round(count * share)
        left = 0
        for report in _choose(dataset, pool, wanted, rng):
            if left == 0:
                patient += 1
                left = int(rng.geometric(1 / STUDIES_PER_PATIENT[dataset]))
            left -= 1
            studies.append(Study(dataset, len(studies), patient, report, tuple(plan(report.major)), split))
        left = 0
    return studies

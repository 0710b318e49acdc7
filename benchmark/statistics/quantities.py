"""Everything that is measured of one run on one dataset, each as a resampled statistic under its own name.

The tables, differences and claims all read this one mapping, so that a number is computed once and every
comparison pairs the very statistics that the tables show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import pandas as pd

from benchmark.artifacts.cohort import Cohort
from benchmark.artifacts.columns import ABNORMAL_PARTS, BEST, CELL, NORMALITY_SCORES, PUBLISHED, WORST, is_wording
from benchmark.artifacts.run import Run
from benchmark.artifacts.scores import FINDING, numbers
from benchmark.statistics import normality, operating, reliability
from benchmark.statistics.bootstrap import Draws, Resampled, least, mean, resampled_aucs
from benchmark.statistics.grounding import grounded
from benchmark.statistics.intervals import SHARE, Range
from benchmark.statistics.subgroups import Subgroup


@dataclass(frozen=True)
class Quantity:
    """The name of a number; the fields are columns of results/ (docs/files.md)."""

    table: str
    """``auc``, ``operating``, ``grounding`` or ``subgroups``."""
    quantity: str
    score: str = ""
    finding: str = ""
    rule: str = ""
    size: str = ""
    heatmap: str = ""
    progress: float = 1.0
    subgroup: str = ""
    level: str = ""


@dataclass(frozen=True)
class Measured:
    """A number before its interval, and the counts printed beside it."""

    statistic: Resampled
    within: Range | None = SHARE
    """The range of the number; None where it has no bounds."""
    n: int | None = None
    positives: int | None = None
    threshold: float | None = None
    chance: float | None = None
    kind: str = ""


Measurements = dict[Quantity, Measured]


@dataclass(frozen=True)
class Findings:
    """Which findings of a dataset can be measured, and which of them can be seen at all."""

    defined: list[str]
    visible: list[str]
    subsets: dict[str, list[str]] = field(default_factory=dict)
    """Further macros that a claim names: quantity -> findings, all of them measurable."""
    apart: list[str] = field(default_factory=list)
    """Those with abnormal negatives of enough patients, so that positives can be told from these and from normals."""


def measurable(cohort: Cohort, min_positives: int) -> tuple[list[str], pd.DataFrame]:
    """Findings with positives and negatives of at least ``min_positives`` patients, and the table of the others."""
    defined, undefined = [], []
    patients = cohort.index["patient_id"].astype(str).to_numpy()
    for finding in cohort.findings:
        labels = cohort.labels([finding])[:, 0]
        positives, negatives = int(np.sum(labels == 1)), int(np.sum(labels == 0))
        ill, well = (len(np.unique(patients[labels == value])) for value in (1, 0))
        if min(ill, well) >= min_positives:
            defined.append(finding)
            continue
        few = "positives" if ill < min_positives else "negatives"
        row = {"dataset": cohort.dataset, "finding": finding, "positives": positives, "n": positives + negatives}
        undefined.append(row | {"reason": f"{few} of fewer than {min_positives} patients"})
    return defined, pd.DataFrame(undefined, columns=["dataset", "finding", "positives", "n", "reason"])


def told_apart(cohort: Cohort, defined: list[str], min_positives: int) -> list[str]:
    """The measurable findings that abnormal images of at least ``min_positives`` patients do not have."""
    patients = cohort.index["patient_id"].astype(str).to_numpy()
    absent = (cohort.labels(defined) == 0) & (cohort.normal == 0)[:, None]
    return [name for k, name in enumerate(defined) if len(np.unique(patients[absent[:, k]])) >= min_positives]


def aucs(
    cohort: Cohort, normal: dict[str, np.ndarray], finding_scores: np.ndarray, findings: Findings, draws: Draws
) -> Measurements:
    """Normal AUC of every normality score; abnormal AUC of every finding and its macros.

    Args:
        cohort: the truth.
        normal: normality score -> (n,).
        finding_scores: (n, K) in the order of ``findings.defined``.
        findings: what is measurable.
        draws: of the n images.
    """
    labels = np.column_stack([*[cohort.normal] * len(normal), cohort.labels(findings.defined)])
    scores = np.column_stack([*normal.values(), finding_scores])
    names = [*normal, *findings.defined]
    measured = [
        Measured(statistic, n=int((~np.isnan(truth)).sum()), positives=int(np.nansum(truth)))
        for statistic, truth in zip(resampled_aucs(labels, scores, draws, names), labels.T, strict=True)
    ]
    result = {Quantity("auc", "normal_auc", score=name): measured[k] for k, name in enumerate(normal)}
    each = dict(zip(findings.defined, measured[len(normal) :], strict=True))
    macros = {"abnormal_auc": findings.defined, "abnormal_auc_visible": findings.visible}
    for quantity, chosen in (macros | findings.subsets).items():
        if chosen:
            macro = mean([each[finding].statistic for finding in chosen])
            result[Quantity("auc", quantity)] = Measured(macro, n=len(cohort.index), positives=len(chosen))
    return result | {Quantity("auc", "abnormal_auc", finding=finding): each[finding] for finding in each}


def wordings(measured: Measurements) -> Measurements:
    """The worst and the best of the wordings of the normal prompt."""
    each = [
        one
        for key, one in measured.items()
        if (key.quantity, key.progress) == ("normal_auc", 1.0) and is_wording(key.score)
    ]
    worst = least([one.statistic for one in each])
    best = least([one.statistic * -1.0 for one in each]) * -1.0
    return {
        Quantity("auc", "normal_auc", score=name): replace(each[0], statistic=statistic)
        for name, statistic in ((WORST, worst), (BEST, best))
    }


def abnormal_parts(cohort: Cohort, finding_scores: np.ndarray, findings: Findings, draws: Draws) -> Measurements:
    """What an abnormal AUC is made of: positives against abnormal images without the finding, and against normals.

    Args:
        cohort: the truth.
        finding_scores: (n, K) in the order of ``findings.defined``.
        findings: what is measurable; the two macros are over the same findings, ``apart``.
        draws: of the n images.
    """
    if not findings.apart:
        return {}
    truth = cohort.labels(findings.apart)
    scores = finding_scores[:, [findings.defined.index(name) for name in findings.apart]]
    normal = cohort.normal[:, None]
    among = np.where(normal == 0, truth, np.nan)
    against = np.where((truth == 1) | (normal == 1), truth, np.nan)
    statistics = resampled_aucs(np.hstack([among, against]), np.hstack([scores, scores]), draws, findings.apart * 2)
    count = len(findings.apart)
    macros = zip(ABNORMAL_PARTS, (mean(statistics[:count]), mean(statistics[count:])), strict=True)
    return {Quantity("auc", name): Measured(macro, n=len(cohort.index), positives=count) for name, macro in macros}


def within_subgroups(cohort: Cohort, score: np.ndarray, groups: list[Subgroup], draws: Draws) -> Measurements:
    """Normal AUC by one score, (n,), within each subgroup."""
    if not groups:
        return {}
    labels = np.stack([np.where(one.member, cohort.normal, np.nan) for one in groups], axis=1)
    names = [f"{one.subgroup} {one.level}" for one in groups]
    statistics = resampled_aucs(labels, np.repeat(score[:, None], len(groups), axis=1), draws, names)
    return {
        Quantity("subgroups", "normal_auc", subgroup=one.subgroup, level=one.level): Measured(
            statistic, n=int((~np.isnan(truth)).sum()), positives=int(np.nansum(truth))
        )
        for one, statistic, truth in zip(groups, statistics, labels.T, strict=True)
    }


@dataclass(frozen=True)
class Scored:
    """What one run says of one dataset, read once."""

    run: Run
    cohort: Cohort
    normal: dict[str, np.ndarray]
    """Normality score -> (n,)."""
    findings: np.ndarray
    """(n, K) in the order of the measurable findings."""

    @cached_property
    def thresholds(self) -> dict[str, dict[str, float]]:
        """Main normality score -> rule -> the threshold fitted on these images."""
        path = self.run.scores_path(self.cohort.dataset)
        return {
            name: operating.thresholds(self.cohort.normal, self.normal[name], f"{name} of {path}")
            for name in NORMALITY_SCORES
        }

    @cached_property
    def calibrators(self) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
        """Main normality score -> Platt's sigmoid fitted on these images."""
        return {name: reliability.platt(self.cohort.normal, self.normal[name]) for name in NORMALITY_SCORES}

    def probabilities(self, fitted: Scored, score: str) -> tuple[np.ndarray, np.ndarray]:
        """Probability of normal of every image by the sigmoid of other images, as it is and for the prevalence here."""
        probability = fitted.calibrators[score](self.normal[score])
        shares = (float(np.nanmean(one.cohort.normal)) for one in (fitted, self))
        return probability, reliability.prior_corrected(probability, *shares)

    @classmethod
    def read(cls, run: Run, cohort: Cohort, findings: list[str]) -> Scored:
        """Read a run's scores of a cohort; what is raised: see artifacts/scores.py."""
        path = run.scores_path(cohort.dataset)
        table = run.scores(cohort)
        columns = [FINDING + finding for finding in findings]
        return cls(run, cohort, normality.normality_scores(table, path), numbers(table, columns, path))


def of_run(
    scored: Scored, fitted: Scored, findings: Findings, groups: list[Subgroup], draws: Draws, min_positives: int
) -> Measurements:
    """Measure one run on one dataset.

    Args:
        scored: the run's scores of the dataset.
        fitted: its scores of the validation split, where thresholds come from.
        findings: what is measurable.
        groups: subgroups of the dataset.
        draws: of the dataset's patients.
        min_positives: of the settings.
    """
    run, cohort = scored.run, scored.cohort
    columns = [FINDING + finding for finding in findings.defined]
    result = aucs(cohort, scored.normal, scored.findings, findings, draws)
    result |= wordings(result)
    result |= abnormal_parts(cohort, scored.findings, findings, draws)
    result |= within_subgroups(cohort, scored.normal[NORMALITY_SCORES[0]], groups, draws)
    for progress, snapshot in run.curve(cohort).items():
        scores = normality.normality_scores(snapshot, run.curve_path)
        main = {name: scores[name] for name in NORMALITY_SCORES}
        early = aucs(cohort, main, numbers(snapshot, columns, run.curve_path), findings, draws)
        result |= {replace(key, progress=progress): value for key, value in early.items() if not key.finding}
    result |= _operating(scored, fitted, draws)
    return result | pointed(run.pointing(cohort), cohort, draws, min_positives)


def _operating(scored: Scored, fitted: Scored, draws: Draws) -> Measurements:
    """Error rates at validation thresholds and the numbers beside the AUC, for the three main scores."""
    cohort = scored.cohort
    known = ~np.isnan(cohort.normal)
    counts = {"n": int(known.sum()), "positives": int(np.nansum(cohort.normal))}
    result: Measurements = {}
    for name in NORMALITY_SCORES:
        for rule, threshold in fitted.thresholds[name].items():
            for quantity, rate in operating.error_rates(cohort.normal, scored.normal[name], threshold, draws).items():
                key = Quantity("operating", quantity, score=name, rule=rule)
                result[key] = Measured(rate, threshold=threshold, **counts)  # type: ignore[arg-type]
        probability, corrected = scored.probabilities(fitted, name)
        for quantity, statistic in (
            ("average_precision", reliability.average_precision(cohort.normal, scored.normal[name], draws)),
            ("brier", reliability.brier(cohort.normal, probability, draws)),
            ("brier_base_rate", reliability.brier_of_base_rate(cohort.normal, draws)),
            ("ece", reliability.expected_calibration_error(cohort.normal, probability, draws)),
            ("ece_prior_corrected", reliability.expected_calibration_error(cohort.normal, corrected, draws)),
        ):
            key = Quantity("operating", quantity, score=name)
            result[key] = Measured(statistic, **counts)  # type: ignore[arg-type]
    return result


def pointed(rows: pd.DataFrame, cohort: Cohort, draws: Draws, least: int) -> Measurements:
    """Pointing game, CNR and mIoU from a cohort's rows of pointing.parquet; nothing where there are none."""
    result: Measurements = {}
    for heatmap in (name for name in (PUBLISHED, CELL) if name in set(rows["heatmap"])):
        own = rows[rows["heatmap"] == heatmap].reset_index(drop=True)
        kind = "+".join(sorted(own["kind"].unique()))
        result |= {
            Quantity("grounding", line.measure, finding=line.finding, size=line.size, heatmap=heatmap): Measured(
                line.statistic, within=None if line.measure == "cnr" else SHARE, n=line.n, chance=line.chance, kind=kind
            )
            for line in grounded(own, cohort.index["image_id"], draws, least)
        }
    return result

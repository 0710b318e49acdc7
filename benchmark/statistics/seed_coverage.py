"""The part of the coverage study that is about training seeds: nine systems, four datasets, their mean.

A study is simulated at the level of seeds and of patients' influences on the AUC, where a sum of influences is the
error of the AUC to first order; scoring images as well would change nothing and take hours. From there on the code is
that which measures real runs: `over_seeds`, `SeedLayout`, `mean_of_independent`, `interval`, `bootstrap_p`. Beside the
form that is used stand others: each pair's own seeds alone, the pooled variance for every system, and, where systems
start from random weights, the moderated one that is used for the others. What a test with the true variance would find
is the limit of all.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy import stats

from benchmark.common.progress import with_progress
from benchmark.pipeline import layout
from benchmark.statistics.auc import Floats
from benchmark.statistics.bootstrap import Draws, Resampled, draw, draw_seeds, mean_of_independent, over_seeds
from benchmark.statistics.comparison import bootstrap_p
from benchmark.statistics.intervals import DIFFERENCE, interval
from benchmark.statistics.seeds import SeedLayout, SeedVariance

SYSTEMS, IMAGES, REPLICATES = 9, 500, 300
PLACEMENT_SD, OF_SYSTEM, OF_SEED = 0.2, 0.1, 0.1
"""Spread of an image's placement, and the shares of its variance that are a system's and a single training's own."""
SHARED = 0.25
"""The share of the seeds' variance that all systems have in common."""
ALIKE = 0.5
"""The share of a system's own seeds' variance that it has in common with its family, where there are any."""
AUC, TRUE_DIFFERENCE = 0.85, 0.03
OWN, POOLED, MODERATED, APART = "own seeds", "pooled seeds", "moderated seeds", "apart seeds"
KNOWN = "known variance"


@dataclass(frozen=True)
class Design:
    """A simulated comparison of nine systems."""

    seeds: int
    seed_sd: float
    """Spread of a system's AUC, averaged over datasets, between training seeds."""
    unequal: float = 1.0
    """The greatest variance between seeds of a system by the least; which system has which changes by study."""
    prevalence: float = 0.5
    per_patient: int = 1
    worst: bool = False
    """The pair compared is that of the two greatest variances: shown as a limit, with no promise made."""
    families: int = 0
    """Into how many families the systems fall whose members react alike to the start of a seed; 0: each its own way.
    The pair is of two families."""
    scratch: bool = False
    """Systems start from random weights: none borrows another's spread. No promise of exactness, only of caution."""

    @property
    def name(self) -> str:
        """The setting's name in the table."""
        spread = "equal" if self.unequal == 1 else f"{self.unequal:g}-fold unequal"
        patients = "half normal" if self.prevalence == 0.5 else f"{self.prevalence:.0%} positive"
        images = "" if self.per_patient == 1 else f", {self.per_patient} images a patient"
        pair = "limit, the two widest systems: " if self.worst else ""
        pair = f"two of {self.families} families: " if self.families else pair
        start = "from scratch, " if self.scratch else ""
        return f"{pair}{start}{self.seeds} seeds, sd {self.seed_sd:g}, {spread}; {patients}{images}"

    @property
    def promised(self) -> bool:
        """Whether the form in use is to keep its promises."""
        return not self.worst and not self.scratch

    @property
    def form(self) -> str:
        """The form that is used for such systems."""
        return APART if self.scratch else MODERATED

    def of_images(self) -> Floats:
        """(C,) standard deviation of each patient's part of an AUC's error, for a placement of spread 1."""
        patients = IMAGES // self.per_patient
        positives = round(self.prevalence * patients)
        size = np.where(np.arange(patients) < positives, positives, patients - positives)
        # Images of a patient are correlated 0.5: their mean has the variance (1 + 0.5 (m - 1)) / m.
        return np.sqrt((1 + 0.5 * (self.per_patient - 1)) / self.per_patient) / size


DESIGNS = tuple(
    Design(seeds, sd, unequal, prevalence, per_patient)
    for sd, (prevalence, per_patient), unequal, seeds in product(
        (0.02, 0.006), ((0.5, 1), (0.08, 2)), (1.0, 4.0), (2, 3, 5)
    )
)
SCRATCH = tuple(
    Design(seeds, 0.05, unequal, prevalence, per_patient, scratch=True)
    for (prevalence, per_patient), unequal, seeds in product(((0.5, 1), (0.08, 2)), (1.0, 16.0), (3, 5))
)
FAMILIES = tuple(Design(seeds, 0.02, families=3) for seeds in (2, 3, 5))
LIMITS = tuple(Design(seeds, 0.02, 4.0, worst=True) for seeds in (2, 3, 5))


@dataclass(frozen=True)
class Study:
    """What a study measured: a difference of two systems by each form, and one system's own mean."""

    difference: dict[str, Resampled]
    known_error: float
    system: Resampled


def simulate(design: Design, all_draws: list[Draws], seed: int) -> Study:
    """One study without a true difference.

    Args:
        design: the study.
        all_draws: the patients' draws, one per dataset.
        seed: of this study.
    """
    generator = np.random.default_rng([seed, zlib.crc32(design.name.encode())])
    variances = design.unequal ** np.linspace(1, 0, SYSTEMS)
    if not design.worst:
        variances = generator.permutation(variances)
    variances *= (1 - SHARED) * design.seed_sd**2 / variances.mean()
    reactions = generator.normal(size=(SYSTEMS, design.seeds))
    if design.families:
        alike = generator.normal(size=(design.families, design.seeds))[np.arange(SYSTEMS) % design.families]
        reactions = np.sqrt(1 - ALIKE) * reactions + np.sqrt(ALIKE) * alike
    effects = reactions * np.sqrt(variances)[:, None]
    effects += generator.normal(size=design.seeds) * np.sqrt(SHARED) * design.seed_sd
    scale = PLACEMENT_SD * design.of_images()
    drawn = draw_seeds(design.seeds, REPLICATES, seed)
    estimates = np.zeros((SYSTEMS, design.seeds))
    differences, systems = [], []
    for draws in all_draws:
        # Of the pair, every patient is needed; of the other systems only the sums, whose spread is known.
        everybody, own = generator.normal(size=len(scale)), generator.normal(size=(2, len(scale)))
        single = generator.normal(size=(2, design.seeds, len(scale)))
        parts = np.sqrt(OF_SYSTEM) * own[:, None] + np.sqrt(OF_SEED) * single
        parts = scale * (parts + np.sqrt(1 - OF_SYSTEM - OF_SEED) * everybody)
        error = np.linalg.norm(scale)
        others = np.sqrt(OF_SYSTEM) * generator.normal(size=(SYSTEMS - 2, 1))
        others = error * (others + np.sqrt(OF_SEED) * generator.normal(size=(SYSTEMS - 2, design.seeds)))
        measured = AUC + effects + np.concatenate([parts.sum(axis=2), others])
        estimates += measured / len(all_draws)
        influence = parts - parts.mean(axis=2, keepdims=True)
        replicates = measured[:2, :, None] + draws.resampled_sums(influence)
        each = [
            [Resampled(measured[k, s], replicates[k, s], influence[k, s]) for s in range(design.seeds)] for k in (0, 1)
        ]
        nothing = SeedVariance()
        differences.append(over_seeds([a - b for a, b in zip(*each, strict=True)], drawn, nothing))
        systems.append(over_seeds(each[0], drawn, nothing))
    of_seeds = {(str(t), s): estimates[t, s] for t in range(SYSTEMS) for s in range(design.seeds)}
    seeds = SeedLayout.of(of_seeds)
    pair = {"0": 1.0, "1": -1.0}
    moderated = mean_of_independent(differences, seeds.of_mean(pair, design.seeds))
    spread = float((estimates[0] - estimates[1]).var(ddof=1)) / design.seeds
    # The form of old takes the patients' variance of the mean over seeds, each seed's own errors included.
    patients = sum(float(part.influence @ part.influence) for part in differences) / len(all_draws) ** 2
    own_form = replace(moderated, shared=patients, seeds=SeedVariance(spread, design.seeds - 1))
    pooled = replace(moderated, seeds=SeedVariance(2 * seeds.pooled / design.seeds, seeds.pooled_freedom))
    of_patients = 2 * (OF_SYSTEM + OF_SEED / design.seeds) * float(scale @ scale) / len(all_draws)
    known = np.sqrt(of_patients + (variances[0] + variances[1]) / design.seeds)
    forms = {OWN: own_form, POOLED: pooled, MODERATED: moderated}
    if design.scratch:
        seeds = SeedLayout.apart(of_seeds)
        forms[APART] = mean_of_independent(differences, seeds.of_mean(pair, design.seeds))
    system = mean_of_independent(systems, seeds.of_mean({"0": 1.0}, design.seeds))
    return Study(forms, float(known), system)


@dataclass(frozen=True)
class Count:
    """How many of the studies did something."""

    check: str
    setting: str
    form: str
    hits: int
    required: bool


def count(design: Design, simulations: int) -> Iterator[Count]:
    """Coverage of a difference and of a system, false alarms, and power where a difference is there.

    A form that calls equal systems different too often finds true differences more often as well: ``power at 5 %`` is
    what it finds once its threshold for p is the one below which 5 % of its studies of equal systems lie.
    """
    per_dataset = np.arange(IMAGES // design.per_patient)
    draws = [draw(per_dataset, REPLICATES, 0, dataset) for dataset in layout.EVALUATION_DATASETS]
    hits: dict[tuple[str, str], int] = {}
    p_values: dict[str, list[tuple[float, float]]] = {}

    def add(check: str, form: str, hit: bool) -> None:
        hits[check, form] = hits.get((check, form), 0) + bool(hit)

    for seed in with_progress(range(simulations), f"seeds, {design.name}"):
        study = simulate(design, draws, seed)
        for form, difference in study.difference.items():
            found = interval(difference, "logit", 0.95, DIFFERENCE)
            if form == design.form:
                add("coverage", form, found.low <= 0 <= found.high)
            shifted = replace(difference, estimate=difference.estimate + TRUE_DIFFERENCE)
            p_values.setdefault(form, []).append(
                (bootstrap_p(difference, "logit", DIFFERENCE), bootstrap_p(shifted, "logit", DIFFERENCE))
            )
        own = interval(study.system, "logit", 0.95)
        add("coverage of a system", design.form, own.low <= AUC <= own.high)
        distance = (study.difference[design.form].estimate + TRUE_DIFFERENCE) / study.known_error
        add("power", KNOWN, bool(2 * stats.norm.sf(abs(distance)) < 0.05))
    for form, pairs in p_values.items():
        equal, different = np.array(pairs).T
        hits["rejection", form] = int((equal < 0.05).sum())
        hits["power", form] = int((different < 0.05).sum())
        hits["power at 5 %", form] = int((different < np.quantile(equal, 0.05)).sum())
    for (check, form), number in sorted(hits.items()):
        yield Count(check, design.name, form, number, form == design.form and design.promised)

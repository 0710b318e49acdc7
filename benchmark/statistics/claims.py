"""What the papers claim, and the verdict that these numbers allow.

claims.yaml names each claim, its source, the published number, the quantity that tests it and the rule; this
module reads it and judges. A published magnitude is tested only on published images at the published scale. An interval
that holds both signs is inconclusive, which is no verdict against a claim: `detectable` says how large a difference
this design would have shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from benchmark.artifacts import select
from benchmark.artifacts.columns import OVERALL, PRIMARY_RULES
from benchmark.common.errors import UserError
from benchmark.pipeline import layout

FILE = Path(__file__).with_name("claims.yaml")
COLUMNS = (
    *("claim", "statement", "source", "published", "dataset", "quantity", "score", "threshold", "a", "b"),
    *("estimate", "low", "high", "detectable", "rule", "verdict", "note"),
)
SUPPORTED, DIRECTION, CONTRADICTED, INCONCLUSIVE, NOT_TESTABLE = (
    "supported",
    "supported in direction",
    "contradicted",
    "inconclusive",
    "not testable here",
)
FACT = "fact"
"""What can be looked up and needs no test."""


class Claim(BaseModel):
    """One entry of claims.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    claim: str
    statement: str
    source: str
    rule: Literal["difference", "not_worse", "value", "same_parameters", "elsewhere"]
    a: str
    b: str = ""
    published: float | None = None
    quantity: str = ""
    score: str = ""
    threshold: str = ""
    """Of an error rate: the rule of its threshold; "" = Youden's."""
    dataset: str = ""
    scale: dict[str, str | int] = {}
    """The scale at which a magnitude was published (`measure.scale_of`): at another it is not tested."""
    findings: tuple[str, ...] = ()
    """The findings of the macro that was published, where it was not taken over all of them."""
    over: int | None = None
    """How many findings the published macro was taken over: a macro over fewer is another number."""
    margin: float = 0.0
    reason: str = ""

    @property
    def measured_as(self) -> str:
        """The quantity in results/: a macro over named findings has a name of its own."""
        return f"{self.quantity}_{self.claim}" if self.findings else self.quantity

    def datasets(self) -> tuple[str, ...]:
        """The datasets that the claim is asked of."""
        return (*layout.EVALUATION_DATASETS, OVERALL) if self.dataset == "each" else (self.dataset,)


def read(path: Path = FILE) -> list[Claim]:
    """Read claims.

    Raises:
        UserError: the file is no list of claims, or an entry is wrong; names the entry.
    """
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    claims = []
    for position, entry in enumerate(entries):
        try:
            claims.append(Claim.model_validate(entry))
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise UserError(f"{path}, claim {position + 1}: `{where}`: {problem['msg']}.") from None
    return claims


def pairs(claims: list[Claim]) -> list[tuple[str, str]]:
    """The pairs of systems whose difference some claim needs."""
    return [(claim.a, claim.b) for claim in claims if claim.rule in ("difference", "not_worse")]


def subsets(claims: list[Claim], dataset: str) -> dict[str, tuple[str, ...]]:
    """The macros over named findings that some claim asks of a dataset: quantity -> findings."""
    return {claim.measured_as: claim.findings for claim in claims if claim.findings and dataset in claim.datasets()}


def verdict(claim: Claim, low: float, high: float, scale: Mapping[str, object], phantom: bool) -> tuple[str, str]:
    """Verdict and note of a claim whose number was measured.

    Args:
        claim: with rule difference, not_worse or value.
        low: lower bound of the interval of a - b, or of a's own number.
        high: upper bound.
        scale: at which it was measured.
        phantom: the numbers come from PHANTOM images.
    """
    if pd.isna(low) or pd.isna(high):
        return NOT_TESTABLE, "no interval: too few images or seeds, or no replicate differs from another"
    if claim.published is not None and phantom:
        return NOT_TESTABLE, "a magnitude published on radiographs cannot be met on PHANTOM images"
    other = [
        f"{key} {scale.get(key)} (published {value})" for key, value in claim.scale.items() if scale.get(key) != value
    ]
    inside = claim.published is None or low <= claim.published <= high
    if claim.rule == "value":
        if other:
            return NOT_TESTABLE, f"measured at another scale: {', '.join(other)}"
        return (SUPPORTED, "") if inside else (CONTRADICTED, "published number outside the interval")
    if claim.rule == "not_worse":
        return _kept(claim.margin, low, high)
    if high < 0:
        return CONTRADICTED, "the whole interval lies on the other side"
    if low <= 0:
        return INCONCLUSIVE, "the interval holds both signs"
    if other or not inside:
        reason = f"the magnitude is not tested: {', '.join(other)}" if other else "the published magnitude lies outside"
        return DIRECTION, reason
    return SUPPORTED, ""


def _kept(margin: float, low: float, high: float) -> tuple[str, str]:
    """Non-inferiority: the interval lies above -margin; equivalence: it lies below the margin as well."""
    if low > -margin:
        return SUPPORTED, f"equivalent within ±{margin:g}" if high < margin else f"not worse by {margin:g} or more"
    if high < -margin:
        return CONTRADICTED, f"worse by more than {margin:g}"
    return INCONCLUSIVE, f"a loss of {margin:g} can be neither shown nor ruled out"


def judge(
    claims: list[Claim],
    differences: pd.DataFrame,
    values: pd.DataFrame,
    ledger: pd.DataFrame,
    scale: Mapping[str, object],
    phantom: bool,
) -> pd.DataFrame:
    """The table claims.csv.

    Args:
        claims: of `read`.
        differences: differences.csv.
        values: auc.csv.
        ledger: ledger.csv, with columns system and parameters.
        scale: at which the systems were trained.
        phantom: the numbers come from PHANTOM images.
    """
    rows = []
    for claim in claims:
        entry = claim.model_dump(exclude={"margin", "reason", "findings", "over", "scale"}) | {
            "quantity": claim.measured_as
        }
        for dataset in claim.datasets():
            row = entry | {"dataset": dataset} | _judged(claim, dataset, differences, values, ledger, scale, phantom)
            rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _judged(
    claim: Claim,
    dataset: str,
    differences: pd.DataFrame,
    values: pd.DataFrame,
    ledger: pd.DataFrame,
    scale: Mapping[str, object],
    phantom: bool,
) -> dict[str, object]:
    """estimate, low, high, detectable, verdict and note of one claim on one dataset."""
    if claim.rule == "elsewhere":
        return {"verdict": NOT_TESTABLE, "note": claim.reason}
    if claim.rule == "same_parameters":
        return _same_parameters(claim, ledger)
    names = {"dataset": dataset, "quantity": claim.measured_as, "score": claim.score}
    if claim.rule == "value":
        number = select.one(values, system=claim.a, seed="all", finding="", progress=1.0, **names)
    else:
        rules = (claim.threshold,) if claim.threshold else PRIMARY_RULES
        number = select.difference(differences, claim.a, claim.b, rule=rules, **names)
    if number is None:
        return {
            "verdict": NOT_TESTABLE,
            "note": "not measured: a finding of the claim has too few images here"
            if claim.findings
            else "not measured: a system of the claim is not in `compare` or `ablation`",
        }
    outcome, note = verdict(claim, number["low"], number["high"], scale, phantom)
    if claim.over and outcome != NOT_TESTABLE and number["positives"] != claim.over:
        outcome = NOT_TESTABLE
        note = f"published over {claim.over} findings, of which {number['positives']:g} can be measured here"
    shown = {key: number.get(key) for key in ("estimate", "low", "high", "detectable")}
    return shown | {"verdict": outcome, "note": note}


def _same_parameters(claim: Claim, ledger: pd.DataFrame) -> dict[str, object]:
    counts = [set(ledger.loc[ledger["system"] == name, "parameters"]) for name in (claim.a, claim.b)]
    if not all(counts):
        return {"verdict": NOT_TESTABLE, "note": "one of the two was not trained here"}
    same = counts[0] == counts[1]
    note = "parameters: " + " and ".join(", ".join(f"{count:,}" for count in sorted(each)) for each in counts)
    return {"verdict": FACT, "note": f"{'the same' if same else 'different'} {note}"}

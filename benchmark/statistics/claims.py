"""What the papers claim, and the verdict that these numbers allow.

claims.yaml names each claim, its source, the published number, the quantity that tests it and the rule; this
module reads it and judges. On PHANTOM images no magnitude is ever called reproduced: the best verdict there
is "direction only". An interval on the wrong side and one that decides nothing are both "not reproduced"; the
note distinguishes them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from benchmark.artifacts.columns import OVERALL, PRIMARY_RULES
from benchmark.common.errors import UserError
from benchmark.pipeline import layout

FILE = Path(__file__).with_name("claims.yaml")
COLUMNS = (
    "claim statement source published dataset quantity score a b estimate low high rule verdict note".split()  # noqa: SIM905
)
REPRODUCED, DIRECTION, NOT_REPRODUCED, NOT_TESTABLE = (
    "reproduced",
    "direction only",
    "not reproduced",
    "not testable here",
)


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
    dataset: str = ""
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


def verdict(claim: Claim, estimate: float, low: float, high: float, phantom: bool) -> tuple[str, str]:
    """Verdict and note of a claim whose number was measured.

    Args:
        claim: with rule difference, not_worse or value.
        estimate: a - b, or a's own number.
        low: lower bound of its interval.
        high: upper bound.
        phantom: the numbers come from PHANTOM images.
    """
    if pd.isna(low) or pd.isna(high):
        return NOT_TESTABLE, "no interval: too few images, or no replicate differs from another"
    if claim.rule == "value":
        inside = low <= (claim.published or 0.0) <= high
        if phantom:
            return NOT_TESTABLE, "published magnitudes are not tested on PHANTOM images"
        return (REPRODUCED, "") if inside else (NOT_REPRODUCED, "published number outside the interval")
    bound = -claim.margin if claim.rule == "not_worse" else 0.0
    if high <= bound:
        return NOT_REPRODUCED, "contradicted: the whole interval lies on the opposite side"
    if low <= bound:
        return (
            NOT_REPRODUCED,
            "undecided: the interval contains zero" if not bound else "undecided: the interval contains the margin",
        )
    if phantom:
        return DIRECTION, "PHANTOM: only the direction is tested"
    if claim.published is not None and not low <= claim.published <= high:
        return DIRECTION, "the published magnitude lies outside the interval"
    return REPRODUCED, ""


def judge(
    claims: list[Claim], differences: pd.DataFrame, values: pd.DataFrame, ledger: pd.DataFrame, phantom: bool
) -> pd.DataFrame:
    """The table claims.csv.

    Args:
        claims: of `read`.
        differences: differences.csv.
        values: auc.csv.
        ledger: ledger.csv, with columns system and parameters.
        phantom: the numbers come from PHANTOM images.
    """
    rows = []
    for claim in claims:
        entry = claim.model_dump(exclude={"margin", "reason", "findings", "over"}) | {"quantity": claim.measured_as}
        for dataset in claim.datasets():
            row = entry | {"dataset": dataset} | _judged(claim, dataset, differences, values, ledger, phantom)
            rows.append(row)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _judged(
    claim: Claim, dataset: str, differences: pd.DataFrame, values: pd.DataFrame, ledger: pd.DataFrame, phantom: bool
) -> dict[str, object]:
    """estimate, low, high, verdict and note of one claim on one dataset."""
    if claim.rule == "elsewhere":
        return {"verdict": NOT_TESTABLE, "note": claim.reason}
    if claim.rule == "same_parameters":
        return _same_parameters(claim, ledger)
    if claim.rule == "value":
        found = values[
            (values["system"] == claim.a)
            & (values["seed"].astype(str) == "all")
            & (values["finding"] == "")
            & (values["progress"] == 1.0)
        ]
    else:
        found = differences[(differences["a"] == claim.a) & (differences["b"] == claim.b)]
        found = found[found["rule"].isin(PRIMARY_RULES)]
    found = found[
        (found["dataset"] == dataset) & (found["quantity"] == claim.measured_as) & (found["score"] == claim.score)
    ]
    if found.empty:
        return {
            "verdict": NOT_TESTABLE,
            "note": "not measured: a finding of the claim has too few images here"
            if claim.findings
            else "not measured: a system of the claim is not in `compare` or `ablation`",
        }
    number = found.iloc[0]
    outcome, note = verdict(claim, number["estimate"], number["low"], number["high"], phantom)
    if claim.over and outcome != NOT_TESTABLE and number["positives"] != claim.over:
        outcome = NOT_TESTABLE
        note = f"published over {claim.over} findings, of which {number['positives']:g} can be measured here"
    return {key: number[key] for key in ("estimate", "low", "high")} | {"verdict": outcome, "note": note}


def _same_parameters(claim: Claim, ledger: pd.DataFrame) -> dict[str, object]:
    counts = [set(ledger.loc[ledger["system"] == name, "parameters"]) for name in (claim.a, claim.b)]
    if not all(counts):
        return {"verdict": NOT_TESTABLE, "note": "one of the two was not trained here"}
    same = counts[0] == counts[1]
    note = "parameters: " + " and ".join(", ".join(f"{count:,}" for count in sorted(each)) for each in counts)
    return {"verdict": REPRODUCED if same else NOT_REPRODUCED, "note": note}

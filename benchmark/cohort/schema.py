"""The shape of index.parquet, regions.parquet and card.json (docs/files.md), checked before they are written.

Adapters refuse bad input with the file and row; these checks hold the adapters to the contract that every later
stage reads by.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from benchmark.artifacts.cohort import LABEL
from benchmark.cohort.privacy import cell_shown
from benchmark.common.errors import UserError

SPLITS = ("train", "validate", "test")
VIEWS = ("PA", "AP", "frontal", "unknown", "lateral", "costal")
KINDS = ("box", "mask", "zone")
SIDES = ("left", "right", "bilateral", "")
THIRDS = ("upper", "middle", "lower", "")


@dataclass(frozen=True)
class Counts:
    """How much a cohort holds."""

    images: int
    studies: int
    patients: int
    normal: int
    abnormal: int


@dataclass(frozen=True)
class ExclusionCount:
    """Why rows of the release are not in the index; examples only where names may be shown."""

    reason: str
    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """card.json: what a cohort is, for people and for the reports."""

    dataset: str
    phantom: bool
    credentialed: bool
    share_examples: bool
    release: str
    findings: tuple[str, ...]
    counts: Counts
    prevalence: dict[str, int]
    shares: dict[str, Any] | None
    """Of a phantom set: how frequent things are in it and in the public table that it was drawn from."""
    views: dict[str, int]
    splits: dict[str, int]
    labels: str
    grounding_truth: Literal["box", "mask", "zone", "none"]
    regions: int
    cluster: Literal["patient", "image"]
    exclusions: tuple[ExclusionCount, ...]
    notes: tuple[str, ...]
    decode: str
    size: int
    fingerprint: str

    def as_json(self) -> dict[str, Any]:
        """The card as a JSON value."""
        return asdict(self)


def findings_of(index: pd.DataFrame) -> list[str]:
    """The findings of an index, in its order."""
    return [name.removeprefix(LABEL) for name in index.columns if name.startswith(LABEL)]


def check_index(index: pd.DataFrame) -> pd.DataFrame:
    """Return the index when it meets the contract.

    Raises:
        UserError: the first broken rule, with column and row.
    """
    import pandera.pandas as pa

    schema = pa.DataFrameSchema(
        {
            "image_id": pa.Column(str, pa.Check.str_length(min_value=1), unique=True),
            "path": pa.Column(str, pa.Check.str_length(min_value=1), unique=True),
            "patient_id": pa.Column(str, pa.Check.str_length(min_value=1)),
            "study_id": pa.Column(str, pa.Check.str_length(min_value=1)),
            "split": pa.Column(str, pa.Check.isin(SPLITS)),
            "view": pa.Column(str, pa.Check.isin(VIEWS)),
            "height": pa.Column("int32", pa.Check.gt(0)),
            "width": pa.Column("int32", pa.Check.gt(0)),
            "report": pa.Column(str),
            "normal": pa.Column("Int8", pa.Check.isin((0, 1)), nullable=True),
            f"^{LABEL}.+": pa.Column("Int8", pa.Check.isin((-1, 0, 1)), nullable=True, regex=True),
        },
        checks=[
            pa.Check(
                lambda table: table.groupby("patient_id")["split"].transform("nunique") == 1,
                error="a patient is in two splits",
            ),
            pa.Check(
                lambda table: (table["split"] != "test") | table.filter(like=LABEL).isin([0, 1]).all(axis=1),
                error="evaluation labels are 0 or 1",
            ),
        ],
        strict=True,
    )
    return _checked(schema, index, "index")


def check_regions(regions: pd.DataFrame, index: pd.DataFrame) -> pd.DataFrame:
    """Return the regions when they meet the contract and belong to images and findings of ``index``.

    Raises:
        UserError: the first broken rule, with column and row.
    """
    import pandera.pandas as pa

    corner = {name: pa.Column("float32", nullable=True) for name in ("x_min", "y_min", "x_max", "y_max")}
    schema = pa.DataFrameSchema(
        {
            "image_id": pa.Column(str, pa.Check.isin(set(index["image_id"]))),
            "finding": pa.Column(str, pa.Check.isin(findings_of(index))),
            "kind": pa.Column(str, pa.Check.isin(KINDS)),
            **corner,
            "rle": pa.Column(str),
            "side": pa.Column(str, pa.Check.isin(SIDES)),
            "zone": pa.Column(str, pa.Check.isin(THIRDS)),
        },
        checks=[
            pa.Check(
                lambda t: (t["kind"] == "zone") | ((t["x_min"] < t["x_max"]) & (t["y_min"] < t["y_max"])),
                error="a box or mask has an extent",
            ),
            pa.Check(lambda t: (t["kind"] == "mask") == (t["rle"] != ""), error="masks, and only masks, hold an RLE"),
            pa.Check(
                lambda t: (t["kind"] != "zone") | (t["side"] != "") | (t["zone"] != ""),
                error="a zone names a side or a third",
            ),
        ],
        strict=True,
    )
    return _checked(schema, regions, "regions")


def _checked(schema: Any, table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Validate; turn pandera's error into one sentence."""
    import pandera.pandas as pa

    try:
        return schema.validate(table)
    except (pa.errors.SchemaError, pa.errors.SchemaErrors) as refusal:
        error = refusal.schema_errors[0] if isinstance(refusal, pa.errors.SchemaErrors) else refusal
        cases = error.failure_cases
        found = f": {cases}" if isinstance(cases, str) else ""
        if isinstance(cases, pd.DataFrame) and len(cases):
            found = f"; first at row {cases['index'].iloc[0]}: {cell_shown(str(cases['failure_case'].iloc[0]))}"
        rule = " ".join(str(error.check or error).split())[:120]
        where = getattr(error.schema, "name", None) or "the table"
        raise UserError(
            f"{name}.parquet would break its contract ({rule} in {where}{found}); see docs/files.md."
        ) from None

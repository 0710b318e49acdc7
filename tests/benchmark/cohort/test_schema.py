"""The contract of index.parquet and regions.parquet refuses what later stages could not survive."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmark.cohort import contract, schema
from benchmark.common.errors import UserError


@pytest.fixture
def index() -> pd.DataFrame:
    labels = pd.DataFrame({"Edema": [1, 0, 0], "Nodule/Mass": [0, 0, 1]}, dtype="Int8")
    table = contract.make_index(
        {
            "image_id": ["a", "b", "c"],
            "path": ["1/a.png", "1/b.png", "2/c.png"],
            "patient_id": ["p", "p", "q"],
            "study_id": ["s", "t", "u"],
            "view": ["PA", "AP", "frontal"],
            "normal": [0, 1, 0],
        },
        labels,
    )
    table = table.assign(height=100, width=80).astype({"height": "int32", "width": "int32"})
    return table


@pytest.fixture
def regions() -> pd.DataFrame:
    rows = [
        {"image_id": "a", "finding": "Edema", "kind": "box", "x_min": 1, "y_min": 2, "x_max": 3, "y_max": 4},
        {"image_id": "c", "finding": "Nodule/Mass", "kind": "zone", "side": "left"},
    ]
    return contract.make_regions(rows)[list(contract.REGION_COLUMNS)]


def test_what_adapters_make_is_accepted(index: pd.DataFrame, regions: pd.DataFrame) -> None:
    assert schema.check_index(index) is not None
    assert len(schema.check_regions(regions, index)) == 2
    assert schema.findings_of(index) == ["Edema", "Nodule/Mass"]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("image_id", ["a", "a", "c"], "unique.* in image_id"),
        ("path", ["1/a.png", "", "2/c.png"], "str_length.* in path"),
        ("split", ["test", "test", "testing"], "isin.* in split.* at row 2: a text of 7"),
        ("split", ["train", "validate", "test"], "a patient is in two splits"),
        ("view", ["PA", "AP", "oblique"], "isin.* in view.* at row 2: a text of 7"),
        ("height", pd.array([100, 0, 100], dtype="int32"), "greater_than.* in height"),
        ("normal", pd.array([0, 2, 0], dtype="Int8"), "isin.* in normal"),
        ("label:Edema", pd.array([1, 3, 0], dtype="Int8"), "isin.* in label:Edema"),
        ("label:Edema", pd.array([1, pd.NA, 0], dtype="Int8"), "evaluation labels are 0 or 1"),
        ("label:Edema", pd.array([1, -1, 0], dtype="Int8"), "evaluation labels are 0 or 1"),
        ("surprise", [1, 2, 3], "surprise|column_in_schema"),
    ],
)
def test_a_broken_index_is_refused(index: pd.DataFrame, column: str, values: object, message: str) -> None:
    with pytest.raises(UserError, match=message) as error:
        schema.check_index(index.assign(**{column: values}))
    assert str(error.value).startswith("index.parquet would break its contract")


def test_training_labels_may_be_uncertain_or_unknown(index: pd.DataFrame) -> None:
    trained = index.assign(split="train", **{"label:Edema": pd.array([1, -1, pd.NA], dtype="Int8")})
    schema.check_index(trained)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("image_id", ["a", "z"], "isin.* in image_id.*'z'"),
        ("finding", ["Edema", "Oedema"], "isin.* in finding.* at row 1: a text of 6"),
        ("kind", ["fraction", "zone"], "isin.* in kind"),
        ("x_max", pd.array([1.0, float("nan")], dtype="float32"), "a box or mask has an extent"),
        ("rle", ["0", ""], "masks, and only masks"),
        ("side", ["", ""], "a zone names a side or a third"),
    ],
)
def test_broken_regions_are_refused(
    index: pd.DataFrame, regions: pd.DataFrame, column: str, values: object, message: str
) -> None:
    if column == "x_max":
        values = pd.Series([1.0, float("nan")], dtype="float32")
    with pytest.raises(UserError, match=message):
        schema.check_regions(regions.assign(**{column: values}), index)

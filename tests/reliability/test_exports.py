"""A cell that a spreadsheet would run as a formula never reaches an exported table."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

from benchmark.common.errors import UserError
from benchmark.pipeline import settings
from tests.repository import REPOSITORY

FORMULAS = ("=HYPERLINK(1)", "+1+1", "-2+3", "@SUM(A1)", "=cmd|' /C calc'!A0", "\t=1", "\r=1", "a\n=1", "")


@pytest.mark.parametrize("label", FORMULAS)
def test_a_label_that_reads_as_a_formula_is_refused(label: str) -> None:
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    values["systems"]["clip"]["label"] = label
    with pytest.raises(UserError, match=r"systems\.clip\.label.*does not begin with = \+ - or @"):
        settings.parse(values)


def test_labels_may_hold_the_signs_elsewhere() -> None:
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    values["systems"]["clip"]["label"] = "CLIP + filter @ 1e12 (= ours)"
    assert settings.parse(values).systems["clip"].label == "CLIP + filter @ 1e12 (= ours)"


def test_no_cell_of_any_exported_table_reads_as_a_formula(reported_once: Path) -> None:
    tables = [*reported_once.glob("results/*.csv"), *reported_once.glob("reports/tables/*.csv")]
    assert len(tables) > 20
    for path in tables:
        with open(path, newline="", encoding="utf-8") as handle:
            for row in csv.reader(handle):
                for cell in row:
                    assert not cell.startswith(("=", "+", "@", "\t", "\r")), f"{path.name}: {cell}"
                    assert not cell.startswith("-") or _is_number(cell), f"{path.name}: {cell}"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True

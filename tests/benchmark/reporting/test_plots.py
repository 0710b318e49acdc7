"""`dvc plots show` and `dvc plots diff` draw results/*.csv by templates of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.repository import REPOSITORY

PLOTS = Path("benchmark/reporting/plots")


def fields(spec: Any) -> Iterator[str]:
    """Every field that a Vega-Lite specification draws."""
    if isinstance(spec, dict):
        yield from [spec["field"]] if isinstance(spec.get("field"), str) else []
        for inner in spec.values():
            yield from fields(inner)
    elif isinstance(spec, list):
        for inner in spec:
            yield from fields(inner)


@pytest.mark.parametrize("name", ["roc", "differences"])
def test_a_plot_holds_every_row_and_draws_columns_that_exist(reported, name):
    shutil.copytree(REPOSITORY / PLOTS, reported / PLOTS)
    shutil.copy(REPOSITORY / "dvc.yaml", reported)
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "--no-scm", "--quiet"], check=True)
    shown = subprocess.run([*dvc, "plots", "show", "--show-vega", name], capture_output=True, text=True, check=True)
    spec = json.loads(shown.stdout)
    table = pd.read_csv(f"results/{name}.csv", dtype=str, keep_default_na=False)
    drawn = pd.DataFrame(spec["data"]["values"])
    pd.testing.assert_frame_equal(drawn[list(table)], table)
    made = {step["as"] for step in spec["transform"] if "as" in step}
    made |= {one["as"] for step in spec["transform"] for one in step.get("joinaggregate", [])}
    assert set(fields({key: spec[key] for key in spec if key != "data"})) <= {*table, *made, "rev"}

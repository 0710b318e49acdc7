"""What the reports read of results/: a table, no table, or a sentence that says which file is none."""

from pathlib import Path

import pytest

from benchmark.artifacts import evidence
from benchmark.artifacts.columns import columns
from benchmark.artifacts.evidence import Results
from benchmark.common.errors import UserError
from benchmark.pipeline import layout, settings
from tests.repository import REPOSITORY


@pytest.mark.parametrize("spoilt", [b"", b"dataset,system\nopen_i,cl", bytes(range(256)) + b"\n", b"a,b\n1,2\n"])
def test_a_file_that_is_no_table_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    layout.RESULTS.mkdir()
    (layout.RESULTS / "auc.csv").write_bytes(spoilt)
    with pytest.raises(UserError, match=r"results/auc\.csv cannot be read .*delete it and run `dvc repro measure`"):
        Results()["auc"]


def test_a_report_needs_results_with_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = settings.load(REPOSITORY / layout.PARAMS)
    with pytest.raises(UserError, match=r"results/auc\.csv is missing; run `dvc repro measure`"):
        evidence.load(chosen)
    layout.RESULTS.mkdir()
    (layout.RESULTS / "auc.csv").write_text(",".join(columns("auc")) + "\n")
    with pytest.raises(UserError, match=r"results/auc\.csv holds no row; run `dvc repro measure`"):
        evidence.load(chosen)


def test_a_missing_table_is_an_empty_one(tmp_path: Path) -> None:
    assert "auc" not in Results(tmp_path)

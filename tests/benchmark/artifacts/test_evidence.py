"""What the reports read of results/: a table, no table, or a sentence that says which file is none."""

from pathlib import Path

import pytest

from benchmark.artifacts.evidence import Results
from benchmark.common.errors import UserError


def test_a_file_that_is_no_table_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "auc.csv").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match=r"auc\.csv cannot be read .*dvc repro measure"):
        Results(tmp_path)["auc"]


def test_a_missing_table_is_an_empty_one(tmp_path: Path) -> None:
    assert "auc" not in Results(tmp_path)

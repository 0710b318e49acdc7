"""A complaint about a file names the stage that makes it: for every output of dvc.yaml, by its name there."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from benchmark.artifacts import stages
from benchmark.pipeline import layout
from tests.repository import REPOSITORY


def outputs() -> list[tuple[str, str]]:
    """Output and stage of the pipeline's DVC files, for the first item of each matrix."""
    pipeline = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))
    params = yaml.safe_load((REPOSITORY / layout.PARAMS).read_text(encoding="utf-8"))
    found = []
    for name, stage in pipeline["stages"].items():
        items = {
            key: params[value[2:-1]] if isinstance(value, str) else value
            for key, value in stage.get("matrix", {}).items()
        }
        first = {key: str(values[0]) for key, values in items.items()}
        address = f"{name}@{'-'.join(first.values())}" if first else name
        for listed in stage["outs"]:
            path = next(iter(listed)) if isinstance(listed, dict) else listed
            for key, value in first.items():
                path = path.replace(f"${{item.{key}}}", value)
            found.append((path, address))
    return found


@pytest.mark.parametrize(("path", "stage"), [pair for pair in outputs() if pair[1] not in ("report", "track")])
def test_every_file_that_another_stage_reads_is_told_from_dvc_yaml(
    path: str, stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(REPOSITORY / layout.PARAMS, tmp_path)
    assert stages.stage_of(Path(path)) == stage
    assert stages.again(Path(path) / "some.file") == f"`dvc repro {stage}`"


def test_a_file_of_no_stage_asks_for_the_whole_pipeline() -> None:
    assert stages.again(Path("reports/reference/auc.csv")) == "`dvc repro`"

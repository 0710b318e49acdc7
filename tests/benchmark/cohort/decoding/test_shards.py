"""Parts of a list, decoded apart, give the array of one run; whatever becomes of a part, it costs time alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark import cli
from benchmark.cohort import index
from benchmark.cohort.decoding import shards, stage
from benchmark.cohort.decoding.shards import Shard
from benchmark.pipeline import layout
from tests.benchmark.measured_run import working_in
from tests.reliability.conftest import Release, lay_out

DATASET = "padchest"


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """Decoded by one run."""
    release = lay_out(DATASET, tmp_path_factory.mktemp("alone") / "work")
    with working_in(release.work):
        index.run(DATASET)
        shutil.copytree(release.work, release.work.with_name("indexed"))
        stage.run(DATASET)
    return release


@pytest.fixture
def here(alone: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Indexed, nothing decoded."""
    root = Path(shutil.copytree(alone.work.with_name("indexed"), tmp_path / "work"))
    monkeypatch.chdir(root)
    return root


def assert_the_same(alone: Release) -> None:
    for name in ("images.npy", "images.parquet"):
        path = layout.images(DATASET) / name
        assert path.read_bytes() == (alone.work / path).read_bytes(), name
    assert not list(shards.folders(DATASET))


def test_shards_give_the_array_of_one_run_and_leave_nothing(
    alone: Release, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    total = stage.waiting(DATASET)
    assert total > 2
    assert cli.main(["decode", DATASET, "--shard", "1/2"]) == 0
    assert stage.waiting(DATASET) == total // 2
    assert cli.main(["decode", DATASET, "--shard", "2/2"]) == 0
    assert not layout.images(DATASET).exists()
    assert stage.waiting(DATASET) == 0
    capsys.readouterr()
    assert cli.main(["decode", DATASET]) == 0
    assert f"{DATASET}: 0 images decoded, {total} taken over" in capsys.readouterr().err
    assert_the_same(alone)
    assert stage.waiting(DATASET) == 0


@pytest.mark.parametrize("harm", ["missing", "cut short", "of another size"])
def test_a_bad_shard_costs_time_alone(alone: Release, here: Path, harm: str) -> None:
    stage.run(DATASET, Shard(1, 2))
    stage.run(DATASET, Shard(2, 2))
    folder = Shard(2, 2).folder(DATASET)
    if harm == "missing":
        shutil.rmtree(folder)
    elif harm == "cut short":
        (folder / "images.npy").write_bytes((folder / "images.npy").read_bytes()[:-100])
    else:
        shutil.rmtree(folder)
        params = Path("params.yaml").read_text()
        assert "size: 32" in params
        Path("params.yaml").write_text(params.replace("size: 32", "size: 48"))
        stage.run(DATASET, Shard(2, 2))
        Path("params.yaml").write_text(params)
    stage.run(DATASET)
    assert_the_same(alone)


def test_every_row_is_in_one_shard() -> None:
    paths = [str(number) for number in range(11)]
    parts = [Shard(number, 3).of(paths) for number in (1, 2, 3)]
    assert sorted((path for part in parts for path in part), key=int) == paths
    assert max(map(len, parts)) - min(map(len, parts)) == 1


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/2/3"])
def test_what_is_no_part_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["decode", DATASET, "--shard", text])
    assert "expected K/N with K from 1 to N" in capsys.readouterr().err

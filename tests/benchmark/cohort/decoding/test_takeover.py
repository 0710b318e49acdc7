"""What was decoded before is taken over row by row, and only from files that are still the same."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from benchmark.cohort.decoding import cache, takeover
from benchmark.cohort.decoding.takeover import Earlier, Made
from tests.benchmark.cohort import miniatures

PATHS = [f"{at:03}.jpg" for at in range(240)]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images that all differ."""
    root = tmp_path_factory.mktemp("rendered")
    for at, path in enumerate(PATHS):
        miniatures.jpeg(root / path, 40, 30 + at % 7, bright=at / len(PATHS))
    return root


@pytest.fixture
def root(rendered: Path, tmp_path: Path) -> Path:
    """A folder of the same images that a test may change."""
    (tmp_path / "root").mkdir()
    for path in PATHS:
        (tmp_path / "root" / path).write_bytes((rendered / path).read_bytes())
    return tmp_path / "root"


def build(root: Path, part: Path, paths: list[str] = PATHS, **options: object) -> cache.Outcome:
    return cache.build(root, paths, part, **{"size": 16, "policy": "faithful", "workers": 1, **options})


def fresh(root: Path, folder: Path, paths: list[str] = PATHS) -> np.ndarray:
    return np.load(build(root, folder / "fresh", paths).images)


def test_a_replaced_file_is_decoded_again_and_no_other(root: Path, tmp_path: Path) -> None:
    build(root, tmp_path / "part")
    miniatures.jpeg(root / PATHS[7], 40, 60, bright=1)
    outcome = build(root, tmp_path / "part")
    assert outcome.decoded == 1
    assert (outcome.heights[7], outcome.widths[7]) == (40, 60)
    np.testing.assert_array_equal(np.load(outcome.images), fresh(root, tmp_path))


def test_an_unfinished_array_gives_no_row_of_an_older_rendering(root: Path, tmp_path: Path) -> None:
    """Killed while one rendering was decoded, resumed on another: not one row may be of the older."""
    build(root, tmp_path / "part")
    for at, path in enumerate(PATHS):
        miniatures.jpeg(root / path, 80, 60 + at % 7, bright=1 - at / len(PATHS))
    outcome = build(root, tmp_path / "part")
    assert outcome.decoded == len(PATHS)
    np.testing.assert_array_equal(np.load(outcome.images), fresh(root, tmp_path))


def test_an_older_date_is_another_file_too(root: Path, tmp_path: Path) -> None:
    """Restored from a backup: as large as before, and dated in the past."""
    build(root, tmp_path / "part")
    os.utime(root / PATHS[0], (0, 0))
    assert build(root, tmp_path / "part").decoded == 1


def test_where_size_and_time_lie_the_sample_tells(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    build(root, tmp_path / "part")
    for path in PATHS:
        state = (root / path).stat()
        content = bytearray((root / path).read_bytes())
        content[-20:-2] = bytes(18)  # the last blocks of the JPEG
        (root / path).write_bytes(content)
        os.utime(root / path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert build(root, tmp_path / "part").decoded == len(PATHS)
    assert "its size and time did not: all are decoded anew" in " ".join(capsys.readouterr().err.split())


def test_another_list_takes_over_what_both_name(root: Path, tmp_path: Path) -> None:
    build(root, tmp_path / "part", PATHS[:100])
    outcome = build(root, tmp_path / "part", PATHS[::-2])
    assert outcome.decoded == len(PATHS[::-2]) - 50
    np.testing.assert_array_equal(np.load(outcome.images), fresh(root, tmp_path, PATHS[::-2]))


@pytest.mark.parametrize("change", [{"size": 24}, {"policy": "draft"}, {"code": "other"}, {"root": "elsewhere"}])
def test_what_was_made_otherwise_is_not_taken_over(root: Path, tmp_path: Path, change: dict[str, object]) -> None:
    made = {"root": str(root), "size": 16, "policy": "faithful", "code": "this"}
    build(root, tmp_path / "part", made=Made(**made))
    other = Made(**made | change)
    options = {"size": other.size, "policy": other.policy}
    assert build(root, tmp_path / "part", made=other, **options).decoded == len(PATHS)


def test_a_run_killed_while_it_took_rows_over_loses_none(root: Path, tmp_path: Path) -> None:
    build(root, tmp_path / "part")
    takeover.aside(tmp_path / "part")
    cache._prepared(tmp_path / "part", Made(str(root), 16, "faithful"), PATHS)  # ... and killed here
    outcome = build(root, tmp_path / "part")
    assert outcome.decoded == 0
    np.testing.assert_array_equal(np.load(outcome.images), fresh(root, tmp_path))


def test_a_finished_array_counts_only_while_it_is_the_one_remembered(root: Path, tmp_path: Path) -> None:
    outcome = build(root, tmp_path / "part")
    target, folder = tmp_path / "images.npy", tmp_path / "record"
    cache.keep_rows(outcome.images, np.arange(len(PATHS)), target)
    takeover.keep(folder, Earlier(Made(str(root), 16, "faithful"), PATHS, outcome.record, target))
    assert build(root, tmp_path / "next", finished=takeover.finished(folder, target)).decoded == 0
    other = np.load(target)
    target.unlink()
    np.save(target, other[::-1])  # as `dvc checkout` may put the array of another commit there
    assert takeover.finished(folder, target) is None

"""The image cache: the same bytes with any number of workers, resumable, never half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmark.cohort.decoding import cache, decode, takeover
from tests.benchmark.cohort import miniatures
from tests.repository import REPOSITORY

COUNT = 3 * cache.IMAGES_PER_TASK
MANY = 10 * cache.IMAGES_PER_TASK


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Images that all differ."""
    for at in range(COUNT):
        miniatures.jpeg(tmp_path / "root" / f"{at:02}.jpg", 40 + at, 60, bright=at / COUNT)
    return tmp_path / "root"


PATHS = [f"{at:02}.jpg" for at in range(COUNT)]


def build(root: Path, part: Path, policy: decode.Policy = "faithful", workers: int = 1) -> cache.Outcome:
    return cache.build(root, PATHS, part, size=32, policy=policy, workers=workers)


def test_each_row_is_its_own_image(root: Path, tmp_path: Path) -> None:
    outcome = build(root, tmp_path / "part")
    images = np.load(outcome.images, mmap_mode="r")
    assert images.shape == (COUNT, 32, 32)
    assert images.dtype == np.uint8
    for row, path in enumerate(PATHS):
        np.testing.assert_array_equal(images[row], decode.load(root / path, "faithful", 32)[0])
    assert outcome.heights.tolist() == [40 + at for at in range(COUNT)]
    assert set(outcome.widths) == {60}
    assert outcome.failures == {}


def test_workers_change_nothing(root: Path, tmp_path: Path) -> None:
    (root / "05.jpg").write_bytes(b"no image")
    one, two = build(root, tmp_path / "one", workers=1), build(root, tmp_path / "two", workers=2)
    assert one.images.read_bytes() == two.images.read_bytes()
    assert one.failures.keys() == two.failures.keys() == {5}


def test_failed_rows_are_named_and_their_neighbours_stay(root: Path, tmp_path: Path) -> None:
    (root / "03.jpg").unlink()
    (root / "20.jpg").write_bytes((root / "20.jpg").read_bytes()[:300])
    outcome = build(root, tmp_path / "part")
    assert outcome.failures[3] == "not on disk"
    assert outcome.failures[20].startswith("cannot be decoded: ")
    images = np.load(outcome.images)
    np.testing.assert_array_equal(images[4], decode.load(root / "04.jpg", "faithful", 32)[0])
    assert not images[3].any()


def interrupted_after_one_task(items: Iterable[list[tuple[int, int, int, str]]], *_: object, **__: object) -> Iterator:
    yield next(iter(items))
    raise KeyboardInterrupt


def test_an_interrupted_build_goes_on_where_it_stopped(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build(root, tmp_path / "whole").images.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(cache, "with_progress", interrupted_after_one_task)
        with pytest.raises(KeyboardInterrupt):
            build(root, tmp_path / "part")
    outcome = build(root, tmp_path / "part")
    assert outcome.decoded == COUNT - cache.IMAGES_PER_TASK
    assert outcome.failures == {}
    assert outcome.images.read_bytes() == whole


KILLED = """
import os, signal, sys
from pathlib import Path
from benchmark.cohort.decoding import cache

def killed_after_two_tasks(tasks, *_, **__):
    yield next(tasks)
    yield next(tasks)
    os.killpg(0, signal.SIGKILL)

if __name__ == "__main__":
    cache.with_progress = killed_after_two_tasks
    paths = sorted(path.name for path in Path(sys.argv[1]).iterdir())
    cache.build(Path(sys.argv[1]), paths, Path(sys.argv[2]), size=32, policy="faithful", workers=2)
"""


def test_a_build_killed_with_its_workers_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """``kill -9`` to all of its processes, at a moment when some images are done and some are not."""
    root, part = tmp_path / "root", tmp_path / "part"
    for at in range(4):
        miniatures.jpeg(root / f"{at:03}.jpg", 1500 + at, 1200, bright=at / 4)
    for at in range(4, MANY):
        (root / f"{at:03}.jpg").hardlink_to(root / f"{at % 4:03}.jpg")
    script = tmp_path / "build.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script), str(root), str(part)]
    ended = subprocess.run(
        command, start_new_session=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    done = np.flatnonzero(np.load(part / "record.npy")["state"] == takeover.DONE)
    assert len(done) == 2 * cache.IMAGES_PER_TASK
    outcome = cache.build(root, [f"{at:03}.jpg" for at in range(MANY)], part, size=32, policy="faithful", workers=1)
    assert (outcome.failures, outcome.decoded) == ({}, MANY - len(done))
    images = np.load(outcome.images)
    for kind in range(4):
        assert (images[kind::4] == images[MANY - 4 + kind]).all()
        assert outcome.heights[kind::4].tolist() == [1500 + kind] * (MANY // 4)


def test_a_run_killed_after_the_array_was_put_in_place_decodes_nothing_twice(root: Path, tmp_path: Path) -> None:
    outcome = build(root, tmp_path / "part")
    cache.keep_rows(outcome.images, np.arange(COUNT), tmp_path / "target.npy")
    whole = (tmp_path / "target.npy").read_bytes()
    (tmp_path / "target.npy").unlink()
    again = build(root, tmp_path / "part")
    assert (again.images.read_bytes(), again.decoded) == (whole, 0)


@pytest.mark.parametrize("lost", ["images.npy", "record.npy", "paths.parquet", "key.json"])
def test_an_unfinished_cache_that_lacks_a_file_starts_afresh(root: Path, tmp_path: Path, lost: str) -> None:
    whole = build(root, tmp_path / "part").images.read_bytes()
    (tmp_path / "part" / lost).unlink()
    assert build(root, tmp_path / "part").images.read_bytes() == whole


def test_mended_images_are_tried_again(root: Path, tmp_path: Path) -> None:
    content = (root / "03.jpg").read_bytes()
    (root / "03.jpg").unlink()
    assert build(root, tmp_path / "part").failures == {3: "not on disk"}
    (root / "03.jpg").write_bytes(content)
    assert build(root, tmp_path / "part").failures == {}


@pytest.mark.parametrize("change", ["policy", "size"])
def test_another_policy_or_size_starts_afresh(root: Path, tmp_path: Path, change: str) -> None:
    build(root, tmp_path / "part")
    options = {"policy": "faithful", "size": 32} | {"policy": {"policy": "draft"}, "size": {"size": 24}}[change]
    again = cache.build(root, PATHS, tmp_path / "part", workers=1, **options)
    fresh = cache.build(root, PATHS, tmp_path / "fresh", workers=1, **options)
    assert again.images.read_bytes() == fresh.images.read_bytes()


def test_rows_left_out_close_up(root: Path, tmp_path: Path) -> None:
    outcome = build(root, tmp_path / "part")
    whole = np.load(outcome.images)
    cache.keep_rows(outcome.images, np.array([0, 2, 5]), tmp_path / "some.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "some.npy"), whole[[0, 2, 5]])
    cache.keep_rows(outcome.images, np.arange(COUNT), tmp_path / "all.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "all.npy"), whole)

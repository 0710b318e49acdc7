"""The picture cache: the same bytes with any number of workers, resumable, never half-written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmark.cohort import cache, pictures
from tests.benchmark.cohort import miniatures

COUNT = 3 * cache.PICTURES_PER_TASK


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Pictures that all differ."""
    for at in range(COUNT):
        miniatures.jpeg(tmp_path / "root" / f"{at:02}.jpg", 40 + at, 60, bright=at / COUNT)
    return tmp_path / "root"


PATHS = [f"{at:02}.jpg" for at in range(COUNT)]


def build(root: Path, part: Path, policy: pictures.Policy = "faithful", workers: int = 1) -> cache.Outcome:
    return cache.build(root, PATHS, part, size=32, policy=policy, workers=workers)


def test_each_row_is_its_own_picture(root: Path, tmp_path: Path) -> None:
    outcome = build(root, tmp_path / "part")
    images = np.load(outcome.images, mmap_mode="r")
    assert images.shape == (COUNT, 32, 32)
    assert images.dtype == np.uint8
    for row, path in enumerate(PATHS):
        np.testing.assert_array_equal(images[row], pictures.load(root / path, "faithful", 32)[0])
    assert outcome.heights.tolist() == [40 + at for at in range(COUNT)]
    assert set(outcome.widths) == {60}
    assert outcome.failures == {}


def test_workers_change_nothing(root: Path, tmp_path: Path) -> None:
    (root / "05.jpg").write_bytes(b"no picture")
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
    np.testing.assert_array_equal(images[4], pictures.load(root / "04.jpg", "faithful", 32)[0])
    assert not images[3].any()


def interrupted_after_one_task(items: Iterable[list[tuple[int, int, int, str]]], *_: object, **__: object) -> Iterator:
    yield next(iter(items))
    raise KeyboardInterrupt


def test_an_interrupted_build_goes_on_where_it_stopped(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build(root, tmp_path / "whole").images.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(cache, "track", interrupted_after_one_task)
        with pytest.raises(KeyboardInterrupt):
            build(root, tmp_path / "part")
    for path in PATHS[: cache.PICTURES_PER_TASK]:
        (root / path).unlink()  # a decoded picture is not opened again
    outcome = build(root, tmp_path / "part")
    assert outcome.failures == {}
    assert outcome.images.read_bytes() == whole


def test_mended_pictures_are_tried_again(root: Path, tmp_path: Path) -> None:
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

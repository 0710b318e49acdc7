"""What lies outside the repository: replaced at the same path, the plans of the stages that read it change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from benchmark.pipeline import settings
from benchmark.planning import outside
from tests.benchmark.cohort import miniatures
from tests.benchmark.training import workplace


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def chosen(**changes: Any) -> settings.Settings:
    return settings.parse(workplace.params(**changes))


def test_the_phantom_and_what_stages_make_have_no_mark() -> None:
    for key in ("datasets.vindr_cxr", "captions", "encoders", "encoders.image", "systems.carzero", "statistics"):
        assert outside.of_key(key, chosen()) == {}


@pytest.mark.parametrize("dataset", list(miniatures.WRITERS))
def test_any_file_of_a_release_changes_its_mark(dataset: str, here: Path) -> None:
    root = miniatures.WRITERS[dataset](here / dataset)
    values = chosen(datasets={dataset: {"root": str(root)}})
    before = outside.of_key(f"datasets.{dataset}", values)
    assert outside.of_key(f"datasets.{dataset}", values) == before
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        content = path.read_bytes()
        path.write_bytes(content + b" ")
        assert outside.of_key(f"datasets.{dataset}", values) != before, path
        state = path.stat()
        path.write_bytes(content)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 10**9))
        before = outside.of_key(f"datasets.{dataset}", values)
    (root / "added.csv").write_text("later")
    assert outside.of_key(f"datasets.{dataset}", values) != before


EDITED = {
    "captions": ("captions", {"captions": {"prompting": "table", "table": "one.csv"}}),
    "weights of a released system": (
        "systems.clip",
        {"systems": {"clip": {"label": "CLIP", "model": "clip", "checkpoint": "one.csv"}}},
    ),
    "an option of a model": (
        "systems.clip",
        {"systems": {"clip": {"label": "CLIP", "model": "clip", "model_options": {"vocabulary": "./one.csv"}}}},
    ),
    "masks": ("datasets.chexpert", {"datasets": {"chexpert": {"root": ".", "grounding": "one.csv"}}}),
    "a start": ("encoders.image", {"encoders": {"image": {"kind": "conv", "init": "one.csv"}}}),
}


@pytest.mark.parametrize("case", EDITED.values(), ids=EDITED.keys())
def test_a_file_that_a_setting_names_is_marked_by_its_content(case: tuple[str, dict[str, Any]]) -> None:
    key, changes = case
    file = Path("one.csv")
    file.write_text("before")
    values = chosen(**changes)
    before = outside.of_key(key, values)
    assert before
    os.utime(file, (0, 0))
    if key != "datasets.chexpert":  # there the file lies in the root as well, where its time counts
        assert outside.of_key(key, values) == before
    file.write_text("after!")
    assert outside.of_key(key, values) != before


def test_a_large_file_is_marked_by_size_and_time(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "SMALL", 3)
    (here / "weights").write_text("large")
    assert outside.of_file(here / "weights") == f"5 bytes, changed {(here / 'weights').stat().st_mtime_ns}"


def test_a_folder_of_too_many_folders_counts_by_their_names(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "MOST_FOLDERS", 2)
    for name in "abc":
        miniatures.text(here / "root" / name / "image", "x")
    before = outside.of_folder(here / "root")
    (here / "root/a/image").write_text("longer")
    assert outside.of_folder(here / "root") == before
    (here / "root/d").mkdir()
    assert outside.of_folder(here / "root") != before


def test_links_in_a_circle_and_folders_that_cannot_be_listed_end(here: Path) -> None:
    root = here / "root"
    miniatures.text(root / "inner/file", "x")
    (root / "inner/up").symlink_to(root)
    (root / "broken").symlink_to(root / "nowhere")
    assert outside.of_folder(root) == outside.of_folder(root)

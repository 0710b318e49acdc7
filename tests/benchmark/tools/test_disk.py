"""DVC's cache: does it double what the pipeline writes?"""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from benchmark.tools import disk


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository on a file system without reflinks."""

    def refused(source: Path, target: Path) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(disk, "_clone", refused)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    return tmp_path


def configure(text: str, name: str = "config") -> None:
    Path(".dvc", name).write_text(text)


def test_by_default_a_file_system_without_reflinks_copies() -> None:
    assert disk.dvc_cache() == disk.DvcCache(Path(".dvc"), "copy")
    assert disk.dvc_cache().copies
    assert not disk.dvc_cache().is_elsewhere


@pytest.mark.parametrize(
    ("types", "link"),
    [("reflink,hardlink,symlink", "hardlink"), ("symlink", "symlink"), ("reflink", "copy"), ("copy", "copy")],
)
def test_the_first_configured_type_that_works_is_the_one(types: str, link: str) -> None:
    configure("[core]\n    autostage = false\n")
    configure(f"[cache]\n    type = {types}\n", "config.local")
    assert disk.dvc_cache().link == link


def test_a_reflink_is_taken_where_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_clone", lambda source, target: None)
    assert disk.dvc_cache().link == "reflink"


def test_a_cache_elsewhere_is_looked_at_there(here: Path) -> None:
    (here / "shared").mkdir()
    configure(f"[cache]\n    dir = {here}/shared/dvc-cache\n")
    assert disk.dvc_cache().place == here / "shared"
    assert list((here / "shared").iterdir()) == []  # nothing is left of the trial

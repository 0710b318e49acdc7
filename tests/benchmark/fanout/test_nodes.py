"""Nodes on which an item would be another one are refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.common.errors import UserError
from benchmark.fanout import nodes


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "shared"
    (place / "benchmark").mkdir(parents=True)
    (place / "benchmark/cli.py").write_text("print(1)\n")
    (place / "params.yaml").write_text("seeds: [0]\n")
    return place


def test_the_same_folder_is_known_by_what_lies_in_it(folder: Path) -> None:
    with nodes.token(folder) as (path, content):
        mine = nodes.here(folder, path)
        assert mine.token == content
        assert mine.versions["torch"] != "none"
        nodes.refuse_strangers(mine, [mine, replace(mine, name="node-2")], folder)
    assert not path.exists()


def test_a_node_without_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    """Neither nothing at that path nor a copy of it will do: what runs there must be seen here."""
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    with nodes.token(folder) as (path, _):
        mine = nodes.here(folder, path)
        for elsewhere in (tmp_path / "nothing", copy):
            stranger = nodes.here(elsewhere, elsewhere / path.relative_to(folder))
            with pytest.raises(UserError, match=f"does not see {folder}; every node needs the same folder"):
                nodes.refuse_strangers(mine, [mine, stranger], folder)


def test_a_node_with_other_code_is_refused(folder: Path) -> None:
    with nodes.token(folder) as (path, _):
        mine = nodes.here(folder, path)
        (folder / "benchmark/cli.py").write_text("print(2)\n")
        with pytest.raises(UserError, match="has another version of the code"):
            nodes.refuse_strangers(mine, [nodes.here(folder, path)], folder)


def test_a_node_with_other_packages_is_refused(folder: Path) -> None:
    with nodes.token(folder) as (path, _):
        mine = nodes.here(folder, path)
        other = replace(mine, name="gpu-3", versions={**mine.versions, "torch": "1.0"})
        with pytest.raises(UserError, match=r"Node gpu-3 has torch 1\.0, this machine has "):
            nodes.refuse_strangers(mine, [other], folder)

"""Whole files or none."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys

import pytest

from benchmark.common import files
from benchmark.common.errors import UserError


def test_an_interrupted_write_leaves_the_old_file_and_no_litter(tmp_path):
    target = tmp_path / "a.json"
    files.write_json(target, {"b": 1})

    def interrupted() -> None:
        with files.replacing(target) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert json.loads(target.read_text()) == {"b": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


KILLED = """
import os, signal, sys
from pathlib import Path
from benchmark.common import files
with files.replacing(Path(sys.argv[1])) as part:
    if sys.argv[2] == "folder":
        part.mkdir()
        part = part / "inside"
    part.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_process_left_is_removed_by_the_next_that_writes_there(tmp_path, kind):
    target = tmp_path / "runs" / "clip-0"
    assert subprocess.run([sys.executable, "-c", KILLED, target, kind], check=False).returncode == -signal.SIGKILL
    left = [path.name for path in target.parent.iterdir()]
    assert len(left) == 1
    assert left[0].startswith(".clip-0.")
    (target.parent / ".clip-1.part").touch()  # a name without a process is another's: an unfinished cache
    running = target.parent / f".clip-2.{files.MACHINE}.{os.getppid()}.part"
    elsewhere = target.parent / left[0].replace(files.MACHINE, "another-node")
    for path in (running, elsewhere):
        path.touch()
    files.write_text(target.parent / "other", "whole")
    kept = {"other", ".clip-1.part", running.name, elsewhere.name}
    assert {path.name for path in target.parent.iterdir()} == kept


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    with files.replacing(target) as part:
        part.mkdir()
        (part / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]


def test_a_folder_takes_the_place_of_a_file(tmp_path):
    target = tmp_path / "folder"
    target.write_text("in its way")
    with files.replacing(target) as part:
        part.mkdir()
    assert target.is_dir()


def test_the_same_value_gives_the_same_bytes(tmp_path):
    files.write_json(tmp_path / "1", {"a": 1, "b": [0.1]})
    files.write_json(tmp_path / "2", {"b": [0.1], "a": 1})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    assert files.sha256_file(tmp_path / "1") == hashlib.sha256((tmp_path / "1").read_bytes()).hexdigest()


def test_nan_is_refused_and_bad_json_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(tmp_path / "nan", float("nan"))
    (tmp_path / "bad").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        files.read_json(tmp_path / "bad")
    with pytest.raises(UserError, match="missing"):
        files.read_json(tmp_path / "none")

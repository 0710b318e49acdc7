"""Whole files or none."""

from __future__ import annotations

import hashlib
import json

import pytest

from benchmark import files
from benchmark.errors import UserError


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


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    with files.replacing(target) as part:
        part.mkdir()
        (part / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]


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

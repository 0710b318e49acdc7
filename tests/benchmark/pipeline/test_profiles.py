"""Profiles: merged key by key, comments kept, validated before anything is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark.common.errors import UserError
from benchmark.pipeline import profiles, settings
from tests.repository import REPOSITORY


@pytest.fixture
def params(tmp_path) -> Path:
    return Path(shutil.copy2(REPOSITORY / "params.yaml", tmp_path / "params.yaml"))


@pytest.mark.parametrize("name", sorted(path.stem for path in (REPOSITORY / "profiles").glob("*.yaml")))
def test_every_shipped_profile_gives_valid_params(params, name):
    changed = profiles.apply(profiles.read(name, REPOSITORY / "profiles"), params)
    assert changed
    settings.load(params)


def test_only_the_named_values_change_and_comments_stay(params):
    before = params.read_text()
    assert profiles.apply({"budget": {"amount": 123.0}}, params) == ["budget.amount"]
    after = settings.load(params)
    assert after.budget.amount == 123.0
    assert after.budget.unit == "flops"
    comments = [line for line in before.splitlines() if line.startswith("#")]
    assert comments
    assert all(line in params.read_text() for line in comments)


def test_a_tower_is_replaced_whole_because_its_keys_depend_on_its_kind(params):
    profiles.apply({"cohort": {"size": 256}, "encoders": {"image": {"kind": "vit"}}}, params)
    assert settings.load(params).encoders["image"] == {"kind": "vit"}


def test_a_refused_profile_leaves_the_file_untouched(params):
    before = params.read_bytes()
    with pytest.raises(UserError):
        profiles.apply({"budget": {"amonut": 1}}, params)
    assert params.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "was not found"),
        (b"", "params.yaml: "),
        (b"- a\n- b\n", "params.yaml: "),
        (b"datasets: [\n", "is not valid YAML"),
        (b"\xff\xfe\x00", "is not valid YAML"),
        (b"TWICE", 'is not valid YAML: found duplicate key "budget".*, line '),
    ],
)
def test_params_that_cannot_be_read_are_refused_in_a_sentence(tmp_path, monkeypatch, content, sentence):
    shutil.copytree(REPOSITORY / "profiles", tmp_path / "profiles")
    monkeypatch.chdir(tmp_path)
    if content == b"TWICE":
        content = (REPOSITORY / "params.yaml").read_bytes() + b"\nbudget: {unit: flops, amount: 1.0}\n"
    if content is not None:
        Path("params.yaml").write_bytes(content)
    with pytest.raises(UserError, match=sentence):
        profiles.run("smoke")
    if content is not None:
        assert Path("params.yaml").read_bytes() == content


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a: [", b"- a", b"", b"a: 1\na: 2\n"])
def test_a_profile_that_cannot_be_read_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "own.yaml").write_bytes(content)
    with pytest.raises(UserError, match=r"own\.yaml (is not valid|cannot be read|should hold)"):
        profiles.read("own", tmp_path)


def test_an_unknown_profile_and_an_unknown_dataset_name_the_nearest(params, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    with pytest.raises(UserError, match="did you mean 'smoke'"):
        profiles.read("smok")
    with pytest.raises(UserError, match="did you mean 'padchest'"):
        profiles.run("smoke", root=["padchets=/data"])

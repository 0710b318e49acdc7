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


def test_an_unknown_profile_and_an_unknown_dataset_name_the_nearest(params, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    with pytest.raises(UserError, match="did you mean 'smoke'"):
        profiles.read("smok")
    with pytest.raises(UserError, match="did you mean 'padchest'"):
        profiles.run("smoke", root=["padchets=/data"])

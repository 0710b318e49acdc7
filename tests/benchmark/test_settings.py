"""params.yaml: what is accepted, and the sentence that refuses the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmark import settings
from benchmark.errors import UserError

PARAMS = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def values() -> dict:
    return yaml.safe_load(PARAMS.read_text())


def test_the_shipped_params_are_valid_and_phantom():
    shipped = settings.load(PARAMS)
    assert shipped.is_phantom
    assert len(shipped.runs()) == len(shipped.compare) * len(shipped.seeds) + len(shipped.ablation) * len(
        shipped.ablation_seeds
    )


def test_a_misspelt_key_is_refused_with_the_nearest_name(values):
    values["training"]["learning_rat"] = 1
    with pytest.raises(UserError, match=r"training\.learning_rat.*did you mean 'learning_rate'"):
        settings.parse(values)


def test_a_misspelt_key_inside_a_named_system_is_refused_with_the_nearest_name(values):
    values["systems"]["clip"]["objectiv"] = "info_nce"
    with pytest.raises(UserError, match=r"systems\.clip\.objectiv.*did you mean 'objective'"):
        settings.parse(values)


def test_a_compared_system_must_be_defined(values):
    values["compare"].append("carzer")
    with pytest.raises(UserError, match=r"names 'carzer'.*did you mean 'carzero'"):
        settings.parse(values)


def test_a_missing_dataset_is_named(values):
    del values["datasets"]["padchest"]
    with pytest.raises(UserError, match="padchest"):
        settings.parse(values)


def test_a_wrong_type_names_the_key(values):
    values["budget"]["amount"] = "much"
    with pytest.raises(UserError, match=r"budget\.amount"):
        settings.parse(values)


def test_broken_yaml_and_a_missing_file_are_sentences(tmp_path):
    with pytest.raises(UserError, match="not found"):
        settings.load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("compare: [clip")
    with pytest.raises(UserError, match="not valid YAML"):
        settings.load(tmp_path / "params.yaml")

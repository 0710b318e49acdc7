"""Plans of released systems: a known release, and what happens where its files are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout
from tests.benchmark.training import workplace

GLORIA = {
    "label": "GLoRIA", "model": "gloria_released", "release": "gloria", "optional": True,
    "checkpoint": "weights/chexpert_resnet50.ckpt", "model_options": {"tokenizer": "weights/Bio_ClinicalBERT"},
}  # fmt: skip


def planned(folder: Path, **changed: Any) -> dict[str, Any]:
    """The plan of GLoRIA beside CLIP; ``changed``: keys of its system."""
    system = {key: value for key, value in (GLORIA | changed).items() if value is not None}
    values = workplace.params(systems={"released": system}) | {
        "compare": ["clip", "released"],
        "scratch": [],
        "ablation": [],
    }
    workplace.write_params(folder, values)
    plan: dict[str, Any] = files.read_json(folder / layout.plan("released"))
    return plan


def put(folder: Path) -> None:
    """The two files of the release."""
    for name in ("chexpert_resnet50.ckpt", "Bio_ClinicalBERT/vocab.txt"):
        path = folder / "weights" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def test_missing_files_of_an_optional_system_stand_in_its_plan(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert plan["absent"] == ["weights/chexpert_resnet50.ckpt", "weights/Bio_ClinicalBERT/vocab.txt"]
    put(tmp_path)
    plan = planned(tmp_path)
    assert "absent" not in plan
    assert {"weights/chexpert_resnet50.ckpt", "weights/Bio_ClinicalBERT"} <= set(plan["outside"])


def test_what_is_said_of_a_release_retrains_nothing(tmp_path: Path) -> None:
    put(tmp_path)
    assert planned(tmp_path) == planned(tmp_path, release=None, optional=None)


def test_missing_files_of_any_other_system_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`systems\.released\.checkpoint`: weights/.* does not exist"):
        planned(tmp_path, optional=False)


def test_an_unknown_release_and_another_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'glorja' is not in baselines/releases\.toml; did you mean 'gloria'\?"):
        planned(tmp_path, release="glorja")
    with pytest.raises(UserError, match="'kad' is read by the model 'kad', found 'gloria_released'"):
        planned(tmp_path, release="kad")
    with pytest.raises(UserError, match=r"`systems\.released\.optional` is for released models"):
        planned(tmp_path, model="clip", release=None, checkpoint=None, model_options=None)


def test_a_comparison_of_which_nothing_is_there_is_refused_in_the_first_second(tmp_path: Path) -> None:
    values = workplace.params(systems={"released": GLORIA}) | {"compare": ["released"], "scratch": [], "ablation": []}
    with pytest.raises(UserError, match=r"no system has its files, weights/chexpert_resnet50\.ckpt and others are not"):
        workplace.write_params(tmp_path, values)

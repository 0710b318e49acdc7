"""Every release of releases.toml: its files are read where the profile puts them, and broken ones are refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
import yaml
from torch import Tensor

from baselines import base, options, releases
from baselines.towers import conv
from tests import parity
from tests.baselines import files, release_files, releases_table
from tests.repository import REPOSITORY

PROFILE = yaml.safe_load((REPOSITORY / "profiles" / "released.yaml").read_text())
SYSTEMS = {system["release"]: system for system in PROFILE["systems"].values()}
LISTS = {"carzero": parity.FOLDER, "offclip": parity.FOLDER, "biovil_t": parity.RELEASED / "biovil"}


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory of its own, on a machine that reaches no hub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def built(release: str) -> base.Baseline:
    """The model of a release with the options of the profile."""
    system = SYSTEMS[release]
    own = {**system.get("model_options", {}), "checkpoint": system["checkpoint"]}
    towers = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["encoders"]
    return base.load(system["model"], towers, own, None)


def listed(release: str) -> None:
    """Skip where the list of a release's tensors is not at hand."""
    folder = LISTS.get(release, parity.RELEASED / release)
    if release not in release_files.OWN and not folder.is_dir():
        pytest.skip(f"the published arrays are not at {folder}")


def written(release: str, change: release_files.Change = release_files.same) -> Path:
    return release_files.write(release, Path("weights"), change, small=True)


def test_the_profile_compares_every_known_release_with_its_own_files() -> None:
    assert [PROFILE["systems"][name]["release"] for name in PROFILE["compare"]] == list(releases.read())
    for release, system in SYSTEMS.items():
        known = releases.read()[release]
        assert system["model"] == known.model
        paths = {system["checkpoint"], *map(str, system.get("model_options", {}).values())}
        for file in known.files:
            path = Path("weights") / file.path
            assert {str(path), str(path.parent)} & paths, file.path
    size = PROFILE["cohort"]["size"]
    assert size >= max(one.size for one in releases.read().values())
    assert size % conv.STRIDE == 0, "the supervised reference's tower takes no other"


@pytest.mark.parametrize("name", PROFILE["compare"])
def test_the_profiles_options_are_accepted_beside_the_towers_of_params_yaml(name: str) -> None:
    system = PROFILE["systems"][name]
    towers = yaml.safe_load((REPOSITORY / "params.yaml").read_text())["encoders"]
    own = {**system.get("model_options", {}), "checkpoint": system["checkpoint"]}
    assert not set(own) & set(towers), "`image` and `text` are changes of the towers"
    options.check(system["model"], towers, own, name)


def test_what_a_release_has_seen_is_said_of_every_dataset_in_known_words() -> None:
    for release in releases.read().values():
        assert set(release.seen) == {"mimic_cxr", "vindr_cxr", "open_i", "chexpert", "padchest"}
        assert set(release.seen.values()) <= {"no", *releases.SEEN}
    assert releases.read()["gloria"].seen["chexpert"] == "seen"


def lacking(weights: dict[str, Tensor]) -> dict[str, Any]:
    """A file that lacks its largest tensor and holds a foreign one."""
    largest = max(weights, key=lambda name: weights[name].numel())
    kept = {name: tensor for name, tensor in release_files.zeros(weights).items() if name != largest}
    return kept | {"surplus.weight": torch.zeros(2)}


def of_another_model(weights: dict[str, Tensor]) -> dict[str, Any]:
    return {"somebody.elses.weight": torch.zeros(2)}


def refusal(release: str) -> str:
    with pytest.raises(ValueError, match=r"\.$") as caught:
        built(release)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 900
    return said


@pytest.mark.parametrize("release", ["carzero", "offclip", "chexzero", "biomedclip"])  # the others: in their own tests
@pytest.mark.parametrize("change", [lacking, of_another_model])
def test_a_wrong_file_is_refused_in_a_sentence(release: str, change: Callable[..., Any]) -> None:
    listed(release)
    path = written(release, change)
    said = refusal(release)
    assert path.name in said or path.parent.name in said


@pytest.mark.parametrize("release", releases.read())
def test_a_truncated_file_is_refused_in_a_sentence(release: str) -> None:
    listed(release)
    path = written(release, release_files.zeros)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert f"{path} cannot be read as a torch checkpoint" in refusal(release)


@pytest.mark.parametrize("release", releases.read())
def test_a_malicious_file_runs_nothing_and_is_refused_by_the_name_of_what_it_calls(release: str) -> None:
    listed(release)
    trap = Path("trap").absolute()
    path = written(release, lambda weights: {**release_files.zeros(weights), "extra": files.Attack(trap)})
    assert f"{path} holds objects of classes that are not allowed: {os.mkdir.__module__}.mkdir" in refusal(release)
    assert not trap.exists()


@pytest.mark.parametrize("table", [releases_table.facts, releases_table.sources, releases_table.seen])
def test_the_document_holds_what_the_file_says(table: Callable[[], str]) -> None:
    assert table() in (REPOSITORY / "docs" / "released-models.md").read_text(encoding="utf-8")

"""What training starts from and is not there is said before it starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmark import cli
from benchmark.pipeline import layout, profiles, settings
from benchmark.tools import starts
from tests.repository import REPOSITORY


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    shutil.copy(REPOSITORY / "params.yaml", layout.PARAMS)
    return tmp_path


def chosen(image: dict[str, object] | None = None, text: dict[str, object] | None = None) -> settings.Settings:
    """The paper profile with options of its towers replaced."""
    profiles.apply(profiles.read("paper", REPOSITORY / "profiles"), layout.PARAMS)
    given = settings.load().encoders
    towers = {"image": {**given["image"], **(image or {})}, "text": {**given["text"], **(text or {})}}
    profiles.apply({"encoders": towers}, layout.PARAMS)
    return settings.load()


def text_folder(place: Path, *names: str) -> str:
    place.mkdir()
    for name in names:
        (place / name).touch()
    return str(place)


def test_the_embedded_default_needs_nothing(here: Path) -> None:
    assert starts.missing(settings.load()) == []


def test_the_paper_profile_needs_both_towers(here: Path) -> None:
    text, image = starts.missing(chosen())
    assert "Laihaoran/BioClinicalMPBERT is neither a folder here nor in the cache" in text
    assert "`hf download Laihaoran/BioClinicalMPBERT`" in text
    assert starts.IMAGE_START in image
    assert "`positions: learnt`" in image


def test_the_doctor_says_it_and_its_exit_status_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    assert "start:" not in capsys.readouterr().out
    chosen()
    assert cli.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert said.count("start: NOT READY") == 2
    assert "5 of 5 datasets are ready" in said


@pytest.mark.parametrize("weights", starts.TEXT_WEIGHTS)
def test_files_that_are_there_are_enough(here: Path, weights: str) -> None:
    (here / "image.ckpt").touch()
    folder = text_folder(here / "bert", "config.json", "vocab.txt", weights)
    assert starts.missing(chosen({"init": "image.ckpt"}, {"init": folder})) == []
    assert starts.missing(chosen({"init": "image.ckpt"}, {"init": "bert"})) == []


def test_a_folder_that_lacks_something_is_named_with_what_it_lacks(here: Path) -> None:
    (sentence,) = starts.missing(chosen({"positions": "learnt"}, {"init": text_folder(here / "bert", "config.json")}))
    assert sentence.endswith("lacks vocab.txt, model.safetensors or pytorch_model.bin.")


@pytest.mark.parametrize(
    ("image", "text", "sentence"),
    [
        ({"init": "/nowhere/image.ckpt"}, {"init": "/nowhere/bert"}, "there is no folder /nowhere/bert"),
        ({"init": "/nowhere/image.ckpt"}, {"init": None}, "there is no file /nowhere/image.ckpt"),
    ],
)
def test_paths_that_lead_nowhere_are_named(
    here: Path, image: dict[str, object], text: dict[str, object], sentence: str
) -> None:
    assert any(sentence in each for each in starts.missing(chosen(image, text)))


def test_what_stage_pretrain_makes_need_not_be_there(here: Path) -> None:
    image = {"init": layout.PRETRAINED.as_posix()}
    assert starts.missing(chosen(image, {"init": None})) == []


def test_a_name_in_the_hubs_cache_is_there(here: Path) -> None:
    snapshot = here / "hub/models--Laihaoran--BioClinicalMPBERT/snapshots/abc"
    snapshot.mkdir(parents=True)
    for name in starts.TEXT_FILES:
        (snapshot / name).touch()
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text("abc")
    assert not any("encoders.text" in each for each in starts.missing(chosen()))

"""The doctor's list of released files: where they are looked for, what is there, what is missing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import yaml

from baselines import releases
from benchmark.pipeline import released, settings
from benchmark.tools import weights
from tests.repository import REPOSITORY

PROFILE = yaml.safe_load((REPOSITORY / "profiles" / "released.yaml").read_text())


def configured(**changed: object) -> settings.Settings:
    """params.yaml with the profile; ``changed``: keys of GLoRIA's system."""
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    values["systems"] |= PROFILE["systems"]
    values["systems"]["gloria_released"] = {**values["systems"]["gloria_released"], **changed}
    values |= {key: PROFILE[key] for key in ("compare", "scratch", "ablation", "seeds", "cohort")}
    return settings.parse(values)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def put(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"weights")


def block(text: list[str], label: str) -> str:
    (found,) = (each for each in text if each.startswith(f"{label} ("))
    return found


def test_missing_files_are_listed_with_their_page_and_licence() -> None:
    text = weights.lines(configured())
    assert len(text) == 10
    assert text[-1].startswith("0 of 9 released models have their files.")
    gloria = block(text, "GLoRIA")
    assert "NOT THERE, left out" in gloria
    assert "missing    weights/chexpert_resnet50.ckpt; see Stanford Box" in gloria
    assert "missing    weights/Bio_ClinicalBERT/vocab.txt; see hub: emilyalsentzer/Bio_ClinicalBERT" in gloria
    assert f"licence    {releases.read()['gloria'].licence}" in gloria


def test_files_that_are_there_have_their_size_and_checksum() -> None:
    put("weights/chexpert_resnet50.ckpt", "weights/Bio_ClinicalBERT/vocab.txt")
    put("weights/RadZero/pytorch_model.bin", "weights/RadZero/vocab.txt")
    text = weights.lines(configured())
    digest = hashlib.sha256(b"weights").hexdigest()
    assert f"there      weights/chexpert_resnet50.ckpt: 7 bytes, SHA-256 {digest}; from" in block(text, "GLoRIA")
    assert "(ICCV 2021): there\n" in block(text, "GLoRIA")
    # RadZero reads without its preprocessor's description.
    assert "): there\n" in block(text, "RadZero")
    assert "none       weights/RadZero/preprocessor_config.json; not needed" in block(text, "RadZero")
    assert text[-1].startswith("2 of 9 released models")


def test_files_are_looked_for_where_params_yaml_wants_them() -> None:
    put("elsewhere/gloria.ckpt", "elsewhere/tokenizer/vocab.txt")
    options = {"checkpoint": "elsewhere/gloria.ckpt", "model_options": {"tokenizer": "elsewhere/tokenizer"}}
    assert "): there\n" in block(weights.lines(configured(**options)), "GLoRIA")
    on_hub = {"checkpoint": "elsewhere/gloria.ckpt", "model_options": {"tokenizer": "owner/name"}}
    assert "): there\n" in block(weights.lines(configured(**on_hub)), "GLoRIA")


def test_a_smaller_cache_is_said() -> None:
    chosen = configured()
    smaller = chosen.model_copy(update={"cohort": chosen.cohort.model_copy(update={"size": 256})})
    text = weights.lines(smaller)
    assert "; needs `cohort.size: 518` or more, found 256" in block(text, "RadZero")
    assert "cohort.size" not in block(text, "GLoRIA")


def test_nothing_is_said_where_no_release_is_named() -> None:
    assert weights.lines(settings.load(REPOSITORY / "params.yaml")) == []


def test_a_snapshot_with_safetensors_is_complete_and_read_first() -> None:
    system = configured().systems["biovil_t"]
    put("weights/biovil_t_image_model_proj_size_128.pt", "weights/BiomedVLP-BioViL-T/vocab.txt")
    assert released.absent(system) == ["weights/BiomedVLP-BioViL-T/pytorch_model.bin"]
    put("weights/BiomedVLP-BioViL-T/model.safetensors")
    assert released.absent(system) == []
    assert Path("weights/BiomedVLP-BioViL-T/model.safetensors") in [path for path, _ in released.wanted(system)]


def test_a_system_that_is_not_optional_is_never_left_out() -> None:
    assert released.absent(configured(optional=False).systems["gloria_released"]) == []

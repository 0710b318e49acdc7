"""Profiles: merged key by key, comments kept, validated before anything is written."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

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


TOWERS = {
    "cohort.size", "encoders.image", "encoders.text",
    "pretraining.samples", "pretraining.learning_rate", "pretraining.min_count",
    "training.batch_size", "training.optimizer", "training.learning_rate", "training.schedule", "training.augment",
    "training.precision", "training.device", "training.snapshots", "budget.unit", "budget.amount",
    "scoring.batch_size", "probe.samples", "probe.learning_rate",
}  # fmt: skip
"""Settings of params.yaml whose values were chosen for the small towers and the embedded cohort."""
ANY_SIZE = {
    "cohort.decode": "how an image is read; the published scale has its own",
    "cohort.max_missing": "of the data",
    "training.threads": "of the machine",
    "scoring.threads": "of the machine",
    "probe.seed": "a seed",
}
"""Settings of the same sections that suit towers of any size, each with the reason."""
SECTIONS = ("cohort", "encoders", "pretraining", "training", "budget", "scoring", "probe")
UNWRITTEN = {
    "training.betas",
    "training.weight_decay",
    "training.clip_norm",
    "training.warmup",
    "training.snapshot_weights",
}
"""Defaults of the small towers that params.yaml does not spell out."""


def written(values: dict) -> set[str]:
    """Dotted keys of the sections that hold settings of towers, one level deep."""
    return {f"{section}.{key}" for section in SECTIONS for key in values.get(section, {})}


def test_the_paper_profile_replaces_every_setting_of_the_small_towers():
    """Both lists are compared with params.yaml, so that a new setting has to go into one of them."""
    shipped = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    assert written(shipped) == TOWERS | set(ANY_SIZE)
    paper = written(profiles.read("paper", REPOSITORY / "profiles"))
    assert paper >= TOWERS | UNWRITTEN
    assert paper - TOWERS - UNWRITTEN <= set(ANY_SIZE)


def test_no_learning_rate_of_a_small_tower_reaches_the_published_ones(params):
    profiles.apply(profiles.read("paper", REPOSITORY / "profiles"), params)
    chosen = settings.load(params)
    assert chosen.probe.learning_rate == chosen.pretraining.learning_rate == chosen.training.learning_rate == 5e-5
    assert chosen.probe.samples == chosen.pretraining.samples == chosen.budget.amount


def test_off_clip_takes_prompted_sentences_alone_as_its_release_states(params):
    """So does every row that isolates a part of it; CLIP and CARZero keep the default share."""
    profiles.apply(profiles.read("paper", REPOSITORY / "profiles"), params)
    chosen = settings.load(params)
    own = {name for name in chosen.names() if chosen.systems[name].prompted_share == 1.0}
    assert own == set(chosen.names()) - {"clip", "carzero"}
    assert "offclip" in own

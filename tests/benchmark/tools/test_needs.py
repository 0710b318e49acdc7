"""What a whole run takes on the disk: sizes of real models, what DVC adds, and whether each file system has room."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest
import yaml

from baselines import base
from benchmark.pipeline import profiles, settings
from benchmark.tools import needs
from benchmark.tools.disk import DvcCache
from benchmark.tools.needs import Need, Scored
from tests.repository import REPOSITORY

Usage = namedtuple("Usage", "total used free")


def configured(profile: str | None = None, **training: object) -> settings.Settings:
    """The shipped settings, or those of a profile."""
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    if profile:
        changes = profiles.read(profile, REPOSITORY / profiles.PROFILES)
        values = yaml.safe_load(profiles.merged(changes, REPOSITORY / "params.yaml")[0])
    values["training"] |= training
    return settings.parse(values)


def test_weights_are_as_large_as_the_file_that_training_leaves(tmp_path: Path) -> None:
    values = configured()
    words = [f"word{number}" for number in range(needs.VOCABULARY)]
    encoders = {**values.encoders, "image": {**values.encoders["image"], "init": None}}
    for name in values.compare:
        model = base.load(values.systems[name].model, encoders, values.systems[name].model_options, words)
        base.save(model, tmp_path / "model.safetensors")
        told = needs.weights_bytes(values.systems[name], values)
        assert told == pytest.approx((tmp_path / "model.safetensors").stat().st_size, rel=0.05), name


def test_a_published_run_in_the_compact_form_is_1_3_sets_of_weights() -> None:
    """Without memory for 200 million weights, and without the network that BERT's weights come from."""
    values = configured("paper")
    weights = needs.weights_bytes(values.systems["offclip"], values)
    assert 700e6 < weights < 850e6
    exact, compact = (
        {need.what: need.size for need in needs.of(configured("paper", snapshot_weights=form), {})}
        for form in ("exact", "compact")
    )
    whole = sum(needs.weights_bytes(values.systems[name], values) for name, _ in values.runs())
    assert exact["weights"] == 3 * whole
    assert compact["weights"] <= 1.3 * whole
    assert exact["training"] == compact["training"] == 9 * weights  # two checkpoints of three sets, three snapshots


def test_a_released_system_takes_the_room_of_its_file_and_has_no_snapshots(tmp_path: Path) -> None:
    (tmp_path / "released").mkdir()
    (tmp_path / "released/weights.pt").write_bytes(b"x" * 5000)
    values = configured()
    system = values.systems["clip"].model_copy(update={"checkpoint": str(tmp_path / "released")})
    assert needs.weights_bytes(system, values) == 5000
    groups = {"compare": ["clip"], "scratch": [], "ablation": [], "seeds": [0]}
    alone = values.model_copy(update={"systems": {"clip": system}, **groups})
    found = {need.what: need.size for need in needs.of(alone, {"open_i": Scored(10, 18)})}
    assert found["weights"] == 5000
    assert "training" not in found
    assert found["scores"] == 10 * (18 + needs.WORDINGS) * 4


@pytest.fixture
def disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with room for 100 MB, and another file system with 30 MB."""
    (tmp_path / "repository").mkdir()
    (tmp_path / "shared").mkdir()
    monkeypatch.chdir(tmp_path / "repository")
    monkeypatch.setattr(needs, "_mount", lambda place: "/shared" if "shared" in str(place) else "/")
    free = {"/": 100_000_000, "/shared": 30_000_000}
    monkeypatch.setattr(needs.shutil, "disk_usage", lambda place: Usage(0, 0, free[needs._mount(place)]))
    return tmp_path


RUN = [Need("weights", Path("runs"), 45_000_000, "21 runs"), Need("training", Path("runs"), 7_000_000, "", False)]


def test_a_cache_that_copies_needs_every_output_twice_and_the_way_out_is_named(disks: Path) -> None:
    told = needs.render(RUN, DvcCache(Path(".dvc"), "copy"))
    assert "45 MB once more, copied into .dvc/; `dvc config --local cache.type reflink,hardlink,symlink`" in told
    assert "97 MB needed, 100 MB free" in told
    assert "NOT ENOUGH" not in told
    linked = needs.render(RUN, DvcCache(Path(".dvc"), "hardlink"))
    assert "52 MB needed" in linked
    assert "nothing is stored twice" in linked


def test_each_file_system_is_compared_with_what_is_free_on_it(disks: Path) -> None:
    """The repository has room; the cache's file system, or one that `runs` was linked to, has not."""
    told = needs.render(RUN, DvcCache(disks / "shared", "copy"))
    assert "on /        52 MB needed, 100 MB free" in told
    assert "on /shared  45 MB needed, 30 MB free" in told
    assert told.endswith("There is NOT ENOUGH DISK.")
    Path("runs").symlink_to(disks / "shared", target_is_directory=True)
    assert "on /shared  52 MB needed, 30 MB free" in needs.render(RUN, None)


def test_large_weights_are_not_copied_into_mlflow() -> None:
    small = {need.what: need.size for need in needs.of(configured(), {})}
    assert small["MLflow"] * 3 == small["weights"]
    assert "MLflow" not in {need.what for need in needs.of(configured("paper"), {})}

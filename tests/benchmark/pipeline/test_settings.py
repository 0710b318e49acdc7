"""params.yaml: what is accepted, and the sentence that refuses the rest."""

from __future__ import annotations

import pytest
import yaml

from baselines import config
from benchmark.common.errors import UserError
from benchmark.compute import augment as augment_module
from benchmark.pipeline import settings
from tests.repository import REPOSITORY

PARAMS = REPOSITORY / "params.yaml"


@pytest.fixture
def values() -> dict:
    return yaml.safe_load(PARAMS.read_text())


def test_the_shipped_params_are_valid_and_phantom():
    shipped = settings.load(PARAMS)
    assert shipped.is_phantom
    groups = (("compare", "seeds"), ("scratch", "scratch_seeds"), ("ablation", "ablation_seeds"))
    rows = [(getattr(shipped, systems), getattr(shipped, seeds)) for systems, seeds in groups]
    assert all(systems and len(seeds) >= 3 for systems, seeds in rows)
    assert len(set(shipped.runs())) == sum(len(systems) * len(seeds) for systems, seeds in rows)


def test_a_system_from_scratch_has_a_tower_without_weights_and_all_else_the_same():
    shipped = settings.load(PARAMS)
    twin = shipped.encoders_of("offclip_scratch")
    assert twin["image"] == {**shipped.encoders["image"], "init": None}
    assert twin["text"] == shipped.encoders["text"] == shipped.encoders_of("offclip")["text"]
    assert shipped.encoders_of("offclip")["image"]["init"]


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


@pytest.mark.parametrize(
    ("size", "augment", "tower", "accepted"),
    [
        (256, "published", {}, True),  # profiles/paper.yaml: training sees 224 px, scoring crops 256 to 224
        (224, "light", {}, True),
        (224, "published", {}, False),  # the crop of 224 px is 196 px
        (192, "none", {}, False),  # smaller than the tower
        (240, "light", {}, False),  # 8 px on each side are half a patch
        (64, "published", {"size": 56, "patch": 4}, True),
        (64, "published", {"size": 56, "patch": 8}, False),  # training fits, but scoring would cut half a patch
    ],
)
def test_images_that_do_not_fit_a_vision_transformer_are_refused_before_anything_runs(
    values, size, augment, tower, accepted
):
    values["cohort"]["size"] = size
    values["training"]["augment"] = augment
    values["encoders"]["image"] = {"kind": "vit", **tower}
    if accepted:
        assert settings.parse(values).cohort.size == size
    else:
        with pytest.raises(UserError, match=rf"`cohort\.size` {size} .* px; expected .* set `cohort\.size`"):
            settings.parse(values)


def test_what_settings_know_of_the_towers_and_the_augmentation_is_so():
    assert augment_module.RECIPES["published"].crop == settings.PUBLISHED_CROP
    published = config.VitOptions()
    assert (published.size, published.patch) == (224, 16)

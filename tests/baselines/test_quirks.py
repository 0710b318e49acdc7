"""What the published quirks do to the scores of the complete model, and that the document says just that."""

from __future__ import annotations

import itertools
import re

import pytest
import torch
import yaml

from baselines.base import load
from baselines.carzero import CARZero
from benchmark.pipeline import profiles
from tests import parity
from tests.baselines import quirks, released_quirks
from tests.baselines.conftest import VOCABULARY
from tests.repository import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "quirks.md"


@pytest.fixture(scope="module")
def changes(released_model: CARZero) -> dict[str, quirks.Change]:
    """Every variant's change of the scores, measured once."""
    images = quirks.encoded(released_model)
    return {variant.name: change for variant, change in quirks.measure(released_model, images)}


@parity.needs_parity
def test_without_a_switch_the_scores_are_the_released_ones(released_model: CARZero) -> None:
    images = quirks.encoded(released_model)
    score = torch.stack(quirks.scores(released_model, images, quirks.Variant("published"))).mean(0)
    expected = parity.arrays("similarity_full.npz")["zero_shot_scores"]
    torch.testing.assert_close(score[:, 3:], expected, **parity.FULL)


@parity.needs_parity
def test_padding_is_looked_at_by_images_that_ask_texts_alone(changes: dict[str, quirks.Change]) -> None:
    masked = changes["padding masked"]
    assert masked.image_to_text == 0
    assert masked.text_to_image > 0.1


@parity.needs_parity
def test_the_mean_over_all_slots_only_scales_a_sentence_and_a_layer_norm_takes_the_scale_away(
    changes: dict[str, quirks.Change],
) -> None:
    words = changes["sentence = mean over its words"]
    assert 0 < words.largest < 1e-3
    assert words.rank_correlation == pytest.approx(1)


@parity.needs_parity
def test_the_document_shows_what_is_measured(changes: dict[str, quirks.Change]) -> None:
    rows = dict(re.findall(r"^\| ([^|]+?) \| (-?\d[^|]*\|.*) \|$", DOCUMENT.read_text(), re.MULTILINE))
    for name, change in changes.items():
        written = [float(cell) for cell in rows[name].split("|")]
        assert written == pytest.approx(list(vars(change).values()), abs=2e-3), name


@pytest.mark.parametrize("model", ["gloria", "medclip", "kad", "biovil", "radzero"])
def test_the_document_shows_what_the_options_of_other_released_models_do(model: str) -> None:
    if not (folder := parity.RELEASED / model).is_dir():
        pytest.skip(f"the published arrays are not at {folder}")
    rows = dict(re.findall(r"^\| ([^|]+?) \| (-?\d[^|]*\|.*) \|$", DOCUMENT.read_text(), re.MULTILINE))
    measures = {
        "gloria": [released_quirks.gloria()],
        "medclip": [*map(released_quirks.medclips, ("vit", "resnet"))],
        "kad": [released_quirks.kads()],
        "biovil": [released_quirks.biovils()],
        "radzero": [released_quirks.radzeros()],
    }
    for name, change in itertools.chain(*measures[model]):
        written = [float(cell) for cell in rows[name].split("|")]
        assert written == pytest.approx(list(vars(change).values()), abs=2e-3), name


def test_the_profile_trains_the_published_quirks_and_each_sound_variant_alone() -> None:
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    profiles.merge(values, profiles.read("quirks", REPOSITORY / "profiles"))
    encoders = {**values["encoders"], "image": {**values["encoders"]["image"], "init": None}}
    switches = {}
    for name in [*values["compare"], *values["ablation"]]:
        system = values["systems"][name]
        model = load(system["model"], encoders, system["model_options"], VOCABULARY)
        head = model.fusion.options
        switches[name] = head.shared_norm, head.mask_padding, model.text.options.sentence, head.small_init
    assert switches == {
        "carzero": (True, False, "slots", False),
        "own_norms": (False, False, "slots", False),
        "masked_padding": (True, True, "slots", False),
        "mean_over_words": (True, False, "words", False),
        "sound": (False, True, "words", False),
        "published_start": (True, False, "slots", True),
    }

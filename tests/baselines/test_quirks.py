"""What the published quirks do to the scores of the complete model, and that the document says just that."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from baselines.carzero import CARZero
from tests import parity
from tests.baselines import quirks

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "quirks.md"
pytestmark = parity.needs_parity


@pytest.fixture(scope="module")
def changes(released_model: CARZero) -> dict[str, quirks.Change]:
    """Every variant's change of the scores, measured once."""
    images = quirks.pictures(released_model)
    return {variant.name: change for variant, change in quirks.measure(released_model, images)}


def test_without_a_switch_the_scores_are_the_released_ones(released_model: CARZero) -> None:
    images = quirks.pictures(released_model)
    score = torch.stack(quirks.scores(released_model, images, quirks.Variant("published"))).mean(0)
    expected = parity.arrays("similarity_full.npz")["zero_shot_scores"]
    torch.testing.assert_close(score[:, 3:], expected, **parity.FULL)


def test_padding_is_looked_at_by_pictures_that_ask_texts_alone(changes: dict[str, quirks.Change]) -> None:
    masked = changes["padding masked"]
    assert masked.image_to_text == 0
    assert masked.text_to_image > 0.1


def test_the_mean_over_all_slots_only_scales_a_sentence_and_a_layer_norm_takes_the_scale_away(
    changes: dict[str, quirks.Change],
) -> None:
    words = changes["sentence = mean over its words"]
    assert 0 < words.largest < 1e-3
    assert words.rank_correlation == pytest.approx(1)


def test_the_document_shows_what_is_measured(changes: dict[str, quirks.Change]) -> None:
    rows = dict(re.findall(r"^\| ([^|]+?) \| (-?\d[^|]*\|.*) \|$", DOCUMENT.read_text(), re.MULTILINE))
    for name, change in changes.items():
        written = [float(cell) for cell in rows[name].split("|")]
        assert written == pytest.approx(list(vars(change).values()), abs=2e-3), name

"""In a batch, every image is measured with its own finding's heatmap and its own size."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.base import ImageFeatures
from benchmark.artifacts import cohort
from benchmark.common.errors import UserError
from benchmark.evaluation import grounding, pointing, prompts, regions, score
from benchmark.evaluation.asked import Asked
from benchmark.evaluation.pointing import Ask, Question
from benchmark.evaluation.surface import Placement
from benchmark.evaluation.zero_shot import Scorer
from benchmark.pipeline import layout, settings
from tests.benchmark.evaluation.workspace import FINDINGS

SENTENCES = {name: f"There is {name.lower()}" for name in FINDINGS["chexpert"]}


def asked(scorer: Scorer, features: ImageFeatures) -> Ask:
    """A trained model's heatmaps of a batch."""

    def ask(images: list[int], findings: list[str]) -> np.ndarray:
        pairs = zip(images, findings, strict=True)
        return np.stack(
            [scorer.heatmaps(features[torch.tensor([i])], scorer.encode([SENTENCES[f]]))[0, 0] for i, f in pairs]
        )

    return ask


@pytest.fixture
def scorer(here: Path) -> Scorer:
    return Scorer.restore(layout.run("carzero", 0) / "model.safetensors", settings.load().scoring)


def test_a_batch_gives_what_each_image_gives_alone(scorer: Scorer) -> None:
    chexpert = cohort.read("chexpert", "test")
    question = Question.of(regions.of(chexpert), 0.0)
    pointed = [
        p
        for place, features in scorer.batches(chexpert.images, chexpert.rows)
        for p in pointing.point(asked(scorer, features), chexpert, place, question, "x")
    ]
    assert [(p.region.image_id, p.region.finding) for p in pointed] == [
        (r.image_id, r.finding) for r in regions.of(chexpert)
    ]
    index = chexpert.index.set_index("image_id")
    model = scorer.model
    for p in pointed[::7]:
        pixels = torch.from_numpy(chexpert.images[p.row][None, None].astype(np.float32) / 255)
        with torch.no_grad():
            texts = model.encode_texts(model.tokenize([SENTENCES[p.region.finding]]))
            alone = model.heatmaps(model.encode_images(pixels), texts)[0].numpy()
        np.testing.assert_allclose(p.heatmap, alone[0], atol=1e-5)
        height, width = (int(index.loc[p.region.image_id, side]) for side in ("height", "width"))
        (expected,) = grounding.measure(p.heatmap[None], [p.region], Placement.of(height, width, 32))
        assert p.result == expected


def test_the_bounds_frame_the_region_in_the_cached_square(scorer: Scorer) -> None:
    chexpert = cohort.read("chexpert", "test")
    question = Question.of(regions.of(chexpert), 0.0)
    ((place, features),) = Scorer(scorer.model, batch_size=40).batches(chexpert.images, chexpert.rows)
    p = next(
        p
        for p in pointing.point(asked(scorer, features), chexpert, place, question, "x")
        if p.region.finding == "Cardiomegaly"
    )
    top, left, bottom, right = p.bounds  # workspace.py: a disc of radius 25 about (0.55, 0.55) of the original
    placed = p.placement
    assert (top + bottom) / 2 == pytest.approx(placed.top + 0.55 * placed.fitted_height, abs=0.15)
    assert (left + right) / 2 == pytest.approx(placed.left + 0.55 * placed.fitted_width, abs=0.15)
    assert bottom - top == pytest.approx(50 * placed.fitted_height / placed.height, abs=0.3)


def test_a_dataset_without_regions_asks_nothing(scorer: Scorer) -> None:
    chexpert = cohort.read("chexpert", "test")

    def ask(images: list[int], findings: list[str]) -> np.ndarray:
        raise AssertionError("nothing is to be asked")

    assert pointing.point(ask, chexpert, slice(0, 40), Question.of([], 0.0), "x") == []
    empty = pointing.table("vindr_cxr", [])
    assert len(empty) == 0
    assert list(empty.columns) == [*pointing.KEYS, *pointing.TYPES]


def test_a_model_without_heatmaps_is_asked_for_none(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(scorer.model), "publishes_heatmaps", False)
    monkeypatch.setattr(type(scorer.model), "heatmaps", None)
    chexpert = cohort.read("chexpert", "test")
    columns = {"chexpert": prompts.resolve(prompts.load(), "chexpert", FINDINGS["chexpert"])}
    table, pointed = score.score(Asked.of(scorer, columns), chexpert, "x", regions.of(chexpert))
    assert len(table) == len(chexpert.rows)
    assert pointed == []


def test_a_heatmap_that_is_not_a_number_is_refused(scorer: Scorer) -> None:
    chexpert = cohort.read("chexpert", "test")
    question = Question.of(regions.of(chexpert), 0.0)
    ((place, features),) = Scorer(scorer.model, batch_size=40).batches(chexpert.images, chexpert.rows)
    features = replace(features, grid=torch.full(features.grid.shape, torch.nan))
    with pytest.raises(UserError, match=r"x, heatmaps: image '.*, .*' and '0' give nan"):
        pointing.point(asked(scorer, features), chexpert, place, question, "x")

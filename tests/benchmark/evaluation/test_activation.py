"""The supervised reference points with the head that answers for a finding, and is measured as systems are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from benchmark.artifacts import cohort
from benchmark.compute.supervised import Supervised, Targets
from benchmark.evaluation import activation, grounding, pointing, regions
from benchmark.evaluation.activation import Head
from benchmark.evaluation.crossfit import CrossFitted
from benchmark.evaluation.surface import Placement
from tests.benchmark.evaluation.workspace import ENCODERS

DEVICE = torch.device("cpu")


@pytest.fixture
def model(here: Path) -> Supervised:
    torch.manual_seed(0)
    built = Supervised(ENCODERS, Targets(torch.ones(4, 3), torch.ones(4, 3, dtype=torch.bool))).eval()
    torch.nn.init.normal_(built.head.weight)
    return built


def alone(model: Supervised, pixels: np.ndarray, output: int) -> np.ndarray:
    """What the head says of each cell, by torch's own product."""
    with torch.no_grad():
        grid = model.tower(torch.from_numpy(pixels[None, None].astype(np.float32) / 255)).grid[0]
        return torch.nn.functional.linear(grid, model.head.weight[output : output + 1])[..., 0].numpy()


def test_a_trained_head_is_applied_to_each_cell_and_measured_as_a_system_is(model: Supervised) -> None:
    vindr = cohort.read("vindr_cxr", "test")
    heads = {"Cardiomegaly": Head.trained(model, 0, 40), "Pleural effusion": Head.trained(model, 1, 40)}
    truth = regions.of(vindr)
    pointed = activation.point_at(model, vindr, heads, truth, 0.0, 7, DEVICE)
    # Every region of a finding with a head, and none of another.
    assert [(p.region.image_id, p.region.finding) for p in pointed] == [
        (r.image_id, r.finding) for r in truth if r.finding in heads
    ]
    assert {r.finding for r in truth} > set(heads)
    index = vindr.index.set_index("image_id")
    for p in pointed[::5]:
        expected = alone(model, vindr.images[p.row], list(heads).index(p.region.finding))
        np.testing.assert_allclose(p.heatmap, expected, atol=1e-5)
        height, width = (int(index.loc[p.region.image_id, side]) for side in ("height", "width"))
        assert [p.result] == grounding.measure(p.heatmap[None], [p.region], Placement.of(height, width, 32))
    table = pointing.table("vindr_cxr", pointed)
    assert set(table["heatmap"]) == {"cell"}
    assert list(table) == [*pointing.KEYS, *pointing.TYPES]
    assert set(table["kind"]) == {"box"}


def test_a_cross_fitted_head_answers_for_the_images_that_it_never_saw(model: Supervised) -> None:
    vindr = cohort.read("vindr_cxr", "test")
    generator = np.random.default_rng(1)
    fold = np.arange(40) % 5
    weight = generator.normal(size=(5, 3 * 16))
    heads = {"Nodule/Mass": Head.cross_fitted(CrossFitted(np.zeros(40, np.float32), fold, weight))}
    pointed = activation.point_at(model, vindr, heads, regions.of(vindr), 0.0, 16, DEVICE)
    assert len(pointed) > 5
    place = pd.Series(range(40), index=vindr.index["image_id"])
    for p in pointed:
        with torch.no_grad():
            pixels = torch.from_numpy(vindr.images[p.row][None, None].astype(np.float32) / 255)
            cells = model.tower(pixels).grid[0].numpy()
        expected = np.concatenate([cells] * 3, axis=-1) @ weight[fold[place[p.region.image_id]]]
        np.testing.assert_allclose(p.heatmap, expected, atol=1e-4)


def test_without_regions_no_image_is_looked_at(model: Supervised, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model, "tower", None)
    vindr = cohort.read("vindr_cxr", "test")
    assert activation.point_at(model, vindr, {}, regions.of(vindr), 0.0, 16, DEVICE) == []

"""CLIP's scale: its published bound is kept by the parameter, which can come back from it."""

from __future__ import annotations

import math

import pytest
import torch

from baselines import base, open_clip
from tests.benchmark.training import pairs


def test_a_scale_at_its_bound_keeps_its_gradient_and_comes_back() -> None:
    model = pairs.model("clip")
    with torch.no_grad():
        model.logit_scale.fill_(math.log(150))
    model.constrain()
    assert model.logit_scale.item() == pytest.approx(math.log(100))
    batch = pairs.batch(model, 6)
    (logits,) = model.pair_logits(model.encode_images(batch.pixels), model.encode_texts(batch.tokens))
    assert logits.abs().max() <= 100 * (1 + 1e-12)
    logits.square().sum().backward()
    assert model.logit_scale.grad.item() > 0
    with torch.no_grad():
        model.logit_scale -= 0.1
    model.constrain()
    assert model.logit_scale.item() == pytest.approx(math.log(100) - 0.1)


def test_open_clip_keeps_the_same_bound_and_runs_its_image_tower_once() -> None:
    model = base.load("open_clip", {}, {"name": "ViT-B-32-quickgelu"}, None)
    assert isinstance(model, open_clip.OpenCLIP)
    with torch.no_grad():
        model.model.logit_scale.fill_(9.0)
    model.constrain()
    assert model.model.logit_scale.item() == pytest.approx(math.log(100))
    calls = []
    model.model.visual.transformer.resblocks[0].register_forward_hook(lambda *_: calls.append(1))
    pixels = torch.rand(1, 1, 224, 224)
    with torch.inference_mode():
        features = model.encode_images(pixels)
        assert len(calls) == 1
        whole = torch.nn.functional.normalize(
            model.model.encode_image((pixels.expand(-1, 3, -1, -1) - model.mean) / model.std)
        )
    torch.testing.assert_close(features.pooled, whole, atol=1e-5, rtol=1e-5)

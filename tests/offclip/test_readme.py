"""The examples of offclip/README.md run as they stand, with real models of the libraries that they name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import offclip
from baselines import torchvision_cure
from tests.offclip.weak_labels import weakly_labelled

torchvision_cure.apply()
import open_clip  # noqa: E402
from transformers import CLIPConfig, CLIPModel  # noqa: E402

README = Path(offclip.__file__).with_name("README.md")
BLOCKS = re.findall(r"^## (.+?)\n.*?```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
IS_NORMAL = torch.tensor([True, False, True, False])


def example(title: str, **names: Any) -> dict[str, Any]:
    """Run the block under a heading with some names given."""
    exec(dict(BLOCKS)[title], names)
    return names


def test_every_block_is_run() -> None:
    assert len(BLOCKS) == README.read_text(encoding="utf-8").count("```python") == 3


def test_open_clip() -> None:
    torch.manual_seed(0)
    vision = {"image_size": 16, "patch_size": 8, "width": 16, "layers": 1, "head_width": 8}
    text = {"context_length": 8, "vocab_size": 50, "width": 16, "heads": 2, "layers": 1}
    model = open_clip.CLIP(16, vision, text, output_dict=True)
    batch = {"images": torch.randn(4, 3, 16, 16), "texts": torch.randint(1, 50, (4, 8))}
    example("With open_clip", model=model, is_normal=IS_NORMAL, rank=0, world_size=1, **batch)
    assert model.logit_scale.grad.abs() > 0


def test_hugging_face() -> None:
    torch.manual_seed(0)
    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**small, "vocab_size": 50, "max_position_embeddings": 8, "eos_token_id": 49}
    vision = {**small, "image_size": 16, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    inputs = {"input_ids": torch.randint(1, 49, (4, 8)), "pixel_values": torch.randn(4, 3, 16, 16)}
    found = example("With Hugging Face's CLIPModel", model=model, inputs=inputs, is_normal=IS_NORMAL)
    found["loss"].backward()
    assert model.logit_scale.grad.abs() > 0
    assert all(parameter.grad is not None for parameter in found["objective"].parameters())


def test_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    studies, labels = weakly_labelled()
    reports = [". ".join(sentences) for sentences in studies]
    example("From reports to captions and labels", reports=reports, study_is_normal=labels)
    assert list(offclip.CaptionPipeline.load("captions.json")(reports))[1].is_normal is labels[1]

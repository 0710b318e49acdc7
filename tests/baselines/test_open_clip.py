"""open_clip models from a folder and from files, scored exactly as open_clip scores them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from torch.nn import functional

from baselines import torchvision_cure
from baselines.base import Baseline, load

torchvision_cure.apply()
import open_clip  # noqa: E402
import transformers  # noqa: E402

SMALL: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
}
TIMM: dict[str, Any] = {
    **SMALL,
    "vision_cfg": {
        "timm_model_name": "vit_tiny_patch16_224", "timm_model_pretrained": False, "timm_pool": "",
        "timm_proj": "linear", "image_size": 224,
    },
}  # fmt: skip
BERT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
PREPROCESS = {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], "interpolation": "bicubic"}
TEXTS = ["There is no finding.", "There is a pleural effusion."]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine that reaches no hub."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def _folder(path: Path, config: dict[str, Any]) -> str:
    """A hub snapshot: configuration and weights."""
    (path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": PREPROCESS}))
    torch.manual_seed(0)
    model = open_clip.create_model(f"local-dir:{path}", load_weights=False)
    torch.save(model.state_dict(), path / "open_clip_pytorch_model.bin")
    return str(path)


def _folder_with_text_tower(path: Path) -> str:
    """As BiomedCLIP's, whose text tower is named by another model of the hub; that one's description lies in it too."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "there", "is", "no", "finding", "."]
    vocabulary = {word: place for place, word in enumerate(words)}
    transformers.BertTokenizer(vocab=vocabulary).save_pretrained(path)
    transformers.BertConfig(vocab_size=len(words), **BERT).save_pretrained(path)
    text: dict[str, Any] = {"context_length": 12, "hf_tokenizer_name": "nobody/absent", "hf_pooler_type": "cls_pooler"}
    config = {**SMALL, "text_cfg": {**text, "hf_model_name": "nobody/absent", "hf_proj_type": "mlp"}}
    (path / "open_clip_config.json").write_text(json.dumps({"model_cfg": config, "preprocess_cfg": PREPROCESS}))
    torch.manual_seed(0)
    here = {**config["text_cfg"], "hf_model_name": str(path), "hf_model_pretrained": False}
    model = open_clip.create_model(f"local-dir:{path}", load_weights=False, text_cfg=here)
    torch.save(model.state_dict(), path / "open_clip_pytorch_model.bin")
    return str(path)


def _load(**options: Any) -> Baseline:
    return load("open_clip", {}, options, None).eval()


@pytest.mark.parametrize("config", [SMALL, TIMM], ids=["open_clip's transformer", "timm's, as BiomedCLIP"])
def test_a_folder_scores_as_open_clip_itself(config: dict[str, Any], tmp_path: Path) -> None:
    name = _folder(tmp_path, config)
    model, theirs = _load(checkpoint=name), open_clip.create_model(f"local-dir:{name}").eval()
    size, patch = (32, 8) if config is SMALL else (224, 16)
    pixels = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(PREPROCESS[part])[:, None, None] for part in ("mean", "std"))
    with torch.no_grad():
        images, texts = model.encode_images(pixels), model.encode_texts(model.tokenize(TEXTS))
        image = theirs.encode_image((pixels.expand(-1, 3, -1, -1) - mean) / std, normalize=True)
        text = theirs.encode_text(open_clip.get_tokenizer("ViT-B-32")(TEXTS), normalize=True)
        torch.testing.assert_close(model.similarity(images, texts), theirs.logit_scale.exp() * image @ text.T)
        maps = model.heatmaps(images, texts)
        larger = model.encode_images(functional.interpolate(pixels, scale_factor=2.0, mode="nearest"))
    assert maps.shape == (2, 2, size // patch, size // patch)
    assert (maps.abs() <= 1 + 1e-6).all()
    assert larger.grid.shape == images.grid.shape


def test_a_folder_whose_text_tower_is_a_model_of_the_hub_needs_no_network(tmp_path: Path) -> None:
    model = _load(checkpoint=_folder_with_text_tower(tmp_path))
    weights = torch.load(tmp_path / "open_clip_pytorch_model.bin", weights_only=True)
    own = model.model.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in weights.items())
    tokens = model.tokenize(TEXTS)
    assert tokens.ids.shape == (2, 12)
    assert tokens.ids[0, :7].tolist() == [2, 5, 6, 7, 8, 9, 3]  # [CLS] there is no finding . [SEP]
    with torch.no_grad():
        scores = model.similarity(model.encode_images(torch.rand(3, 1, 32, 32)), model.encode_texts(tokens))
    assert torch.isfinite(scores).all()
    (tmp_path / "config.json").unlink()
    with pytest.raises(ValueError, match=r"with the `config\.json` of its text tower"):
        _load(checkpoint=str(tmp_path))


def _openai_weights() -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    """A small model of OpenAI's architecture and its file's content (CheXzero saves the bare state dict)."""
    torch.manual_seed(0)
    vision = {**SMALL["vision_cfg"], "head_width": 64}
    model = open_clip.CLIP(32, vision, SMALL["text_cfg"], quick_gelu=True).eval()
    return model, model.state_dict()


@pytest.mark.parametrize("prefix", ["", "module."])
def test_an_openai_shaped_checkpoint_needs_no_name_and_keeps_full_precision(prefix: str, tmp_path: Path) -> None:
    theirs, weights = _openai_weights()
    path = tmp_path / "best_64_0.0002_original_17000_0.864.pt"
    torch.save({prefix + name: tensor for name, tensor in weights.items()}, path)
    model = _load(checkpoint=str(path))
    own = model.model.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in weights.items())
    pixels = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(model.model.encode_image(pixels), theirs.encode_image(pixels))


def test_images_are_normalised_as_chexzero_does_where_its_numbers_are_given(tmp_path: Path) -> None:
    theirs, weights = _openai_weights()
    path = tmp_path / "best.pt"
    torch.save(weights, path)
    model = _load(checkpoint=str(path), mean=101.48761 / 255, std=83.43944 / 255)
    grey = torch.randint(0, 256, (2, 1, 32, 32)).float()
    with torch.no_grad():
        expected = theirs.encode_image((grey.expand(-1, 3, -1, -1) - 101.48761) / 83.43944, normalize=True)
        torch.testing.assert_close(model.encode_images(grey / 255).pooled, expected)


def test_what_cannot_be_made_is_refused_with_what_to_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"needs a `checkpoint`.* or `model_options\.name`"):
        _load()
    with pytest.raises(ValueError, match=r"cannot build 'ViT-B-23'.*give the folder"):
        _load(name="ViT-B-23")
    (tmp_path / "empty").mkdir()
    _folder(tmp_path / "empty", SMALL)
    (tmp_path / "empty" / "open_clip_pytorch_model.bin").unlink()
    with pytest.raises(ValueError, match=r"cannot build '.*empty'"):
        _load(checkpoint=str(tmp_path / "empty"))
    torch.save({"weight": torch.zeros(2)}, tmp_path / "x.pt")
    with pytest.raises(ValueError, match="not shaped like OpenAI's CLIP"):
        _load(checkpoint=str(tmp_path / "x.pt"))
    _, weights = _openai_weights()
    del weights["visual.ln_post.bias"]
    torch.save(weights, tmp_path / "y.pt")
    with pytest.raises(ValueError, match=r"y\.pt.*visual\.ln_post\.bias"):
        _load(checkpoint=str(tmp_path / "y.pt"))


def test_a_cache_of_fewer_pixels_than_the_model_sees_is_refused(tmp_path: Path) -> None:
    model = _load(checkpoint=_folder(tmp_path, SMALL))
    model.require_size(32)
    with pytest.raises(ValueError, match=r"reads images of 32 pixels, the cache holds 31; set `cohort\.size: 32`"):
        model.require_size(31)

"""Every training seed has a start of its own; a file of weights is one start for all of them."""

from __future__ import annotations

import pytest

from benchmark.pipeline import layout, pretrained

TEXT = {"kind": "words", "dim": 16}


@pytest.mark.parametrize("init", ["data/pretrained", "data/pretrained/", "./data/pretrained"])
def test_the_folder_of_the_stage_stands_for_the_tower_of_each_seed(init: str) -> None:
    encoders = {"image": {"kind": "conv", "init": init}, "text": TEXT}
    assert pretrained.is_made_here(init)
    for seed in (0, 7):
        mine = pretrained.of_seed(encoders, seed)
        assert mine == {"image": {"kind": "conv", "init": f"data/pretrained/{seed}/image.safetensors"}, "text": TEXT}
        assert layout.pretrained(seed).as_posix() == f"data/pretrained/{seed}"
    assert encoders["image"]["init"] == init, "the settings themselves stay as they were"


@pytest.mark.parametrize("init", [None, "weights/M3AE_last.ckpt", "data/pretrained/0/image.safetensors"])
def test_weights_that_are_named_are_the_start_of_every_seed(init: str | None) -> None:
    encoders = {"image": {"kind": "vit", "init": init}, "text": TEXT}
    assert not pretrained.is_made_here(init)
    assert pretrained.of_seed(encoders, 3) == encoders


def test_towers_without_an_init_start_at_random() -> None:
    assert pretrained.of_seed({"image": {"kind": "conv"}, "text": TEXT}, 0) == {"image": {"kind": "conv"}, "text": TEXT}

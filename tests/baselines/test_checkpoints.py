"""Foreign checkpoints: what is read, and that nothing in them is ever run."""

from __future__ import annotations

import collections
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from baselines import checkpoints

WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}
CONFIG = {"model": {"text": {"word_num": 97}, "norm": False}, "phase": ["a", None, 1.5]}


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": WEIGHTS, "hyper_parameters": OmegaConf.create(CONFIG), "epoch": 3},
        {"model_state_dict": collections.OrderedDict(WEIGHTS), "optimizer_state_dict": {"state": {}}},
        WEIGHTS,
        {"state_dict": WEIGHTS, "callbacks": {}, "counts": collections.defaultdict(list), "where": Path("x")},
    ],
    ids=["lightning with OmegaConf", "model_state_dict", "bare", "other harmless objects"],
)
def test_the_weights_are_read_and_nothing_else(content: dict, tmp_path: Path) -> None:
    path = tmp_path / "model.ckpt"
    torch.save(content, path)
    read = checkpoints.read(path)
    assert set(read) == set(WEIGHTS)
    assert all(torch.equal(read[name], tensor) for name, tensor in WEIGHTS.items())


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "model.safetensors")
    assert set(checkpoints.read(tmp_path / "model.safetensors")) == set(WEIGHTS)


class Attack:
    """Pickles as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("function", [os.mkdir, eval, getattr], ids=["os.mkdir", "eval", "getattr"])
def test_a_file_that_would_run_code_is_refused_by_name_and_runs_nothing(function: Any, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    arguments = {"mkdir": (str(trap),), "eval": (f"__import__('os').mkdir({str(trap)!r})",), "getattr": (1, "real")}
    path = tmp_path / "model.ckpt"
    torch.save({"state_dict": WEIGHTS, "extra": Attack(function, *arguments[function.__name__])}, path)
    with pytest.raises(ValueError, match=rf"not allowed: \w+\.{function.__name__}\."):
        checkpoints.read(path)
    assert not trap.exists()


def test_a_call_to_a_module_that_may_be_named_is_not_made(tmp_path: Path) -> None:
    trap, path = tmp_path / "trap", tmp_path / "model.ckpt"
    torch.save({"state_dict": WEIGHTS, "extra": Attack(np.save, str(trap), 1)}, path)
    assert set(checkpoints.read(path)) == set(WEIGHTS)
    assert not list(tmp_path.glob("trap*"))


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist; download it"):
        checkpoints.read(tmp_path / "absent.ckpt")
    (tmp_path / "page.ckpt").write_text("<!DOCTYPE html><title>Quota exceeded</title>")
    with pytest.raises(ValueError, match="cannot be read as a torch checkpoint"):
        checkpoints.read(tmp_path / "page.ckpt")
    (tmp_path / "old.ckpt").write_bytes(pickle.dumps({"state_dict": {}}))
    with pytest.raises(ValueError, match="cannot be read as a torch checkpoint"):
        checkpoints.read(tmp_path / "old.ckpt")
    torch.save({"epoch": 3}, tmp_path / "empty.ckpt")
    with pytest.raises(ValueError, match="holds no weights"):
        checkpoints.read(tmp_path / "empty.ckpt")


def test_state_dicts_under_several_keys_are_joined_under_their_names(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    content = {"image": WEIGHTS, "text": WEIGHTS, "optimizer": {"lr": 1e-4}, "surplus": torch.zeros(1)}
    torch.save(content, path)
    joined = checkpoints.read(path, ("image", "text", "absent"))
    expected = {f"{part}.{name}": tensor for part in ("image", "text") for name, tensor in WEIGHTS.items()}
    assert set(joined) == {*expected, "surplus"}
    assert all(torch.equal(joined[name], tensor) for name, tensor in expected.items())
    torch.save({"image": [1.0]}, path)
    with pytest.raises(ValueError, match="holds no weights"):
        checkpoints.read(path, ("image",))


def test_a_file_is_refused_wherever_it_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({f"layer.{k}.weight": torch.zeros(3) for k in range(80)}, path)
    content = path.read_bytes()
    for cut in range(0, len(content), len(content) // 40):
        path.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=r"cannot be read as a torch checkpoint .* download it again"):
            checkpoints.read(path)

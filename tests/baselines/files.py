"""Files of the structure in which other models were released, and what must happen to broken ones."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.base import Baseline, load
from baselines.unfilled import Unfilled


class Attack:
    """Pickles as a call of ``os.mkdir``."""

    def __init__(self, trap: Path) -> None:
        self.trap = trap

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.trap),)


def without_values(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same names and shapes over one stored zero each, so that a file takes kilobytes."""
    return {name: torch.zeros((), dtype=tensor.dtype).expand(tensor.shape) for name, tensor in weights.items()}


def vocabulary(pieces: list[str], folder: Path) -> str:
    """A tokenizer's folder with ``vocab.txt``."""
    path = folder / "Bio_ClinicalBERT"
    path.mkdir()
    (path / "vocab.txt").write_text("\n".join(pieces) + "\n")
    return str(path)


def built(model: str, path: Path | str, tokenizer: str, **options: Any) -> Baseline:
    """The model of a file, in evaluation mode; what the file does not fill would not be the random start either."""
    with Unfilled():
        return load(model, {}, {"checkpoint": str(path), "tokenizer": tokenizer, **options}, None).eval()


def refused(
    model: str,
    tokenizer: str,
    folder: Path,
    wrap: Callable[[dict[str, Tensor]], Any],
    weights: Mapping[str, Tensor],
    **options: Any,
) -> None:
    """A wrong, a truncated and a malicious file of the structure of ``wrap`` are refused, each in one sentence."""
    path, trap, names = folder / "broken.ckpt", folder / "trap", list(weights)
    zeros = without_values(weights)

    def refuses(message: str) -> None:
        with pytest.raises(ValueError, match=message) as caught:
            built(model, path, tokenizer, **options)
        sentence = str(caught.value)
        del caught  # its traceback holds the whole model, and this frame would hold it until memory is collected
        assert "\n" not in sentence
        assert len(sentence) < 600

    lacking = {name: tensor for name, tensor in zeros.items() if name != names[0]}
    torch.save(wrap(lacking | {"surplus.weight": torch.zeros(2)}), path)
    refuses(rf"broken\.ckpt is not the released file: missing {names[0].split('gloria.')[-1]}; unexpected surplus\.wei")
    torch.save(wrap(zeros | {names[0]: torch.zeros(7, 7)}), path)
    refuses(rf"misshapen {names[0].split('gloria.')[-1]} \[7, 7\] instead of \[.*\]\.$")
    torch.save({"visual.proj": torch.zeros(2)}, path)
    refuses(r"missing .* and \d{3} more; unexpected visual\.proj\.$")

    torch.save(wrap(zeros), path)
    content = path.read_bytes()
    for cut in (len(content) // 2, 100):
        path.write_bytes(content[:cut])
        refuses("cannot be read as a torch checkpoint")
    torch.save(wrap(zeros) | {"extra": Attack(trap)}, path)
    refuses(r"holds objects of classes that are not allowed: \w+\.mkdir\.")
    assert not trap.exists()
    path.unlink()

"""``python -m tests.baselines.full_size_step``: CARZero at the published size takes a training step on a CPU.

ViT-B/16 at 224, BERT-base over as many word pieces as the release's (28,996) and 97 slots, 4 layers of
cross-attention, the published optimizer; 8 pairs. Prints seconds and peak memory.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from baselines.carzero import CARZero
from baselines.options.carzero import PUBLISHED
from baselines.towers.bert import SPECIAL, padded
from benchmark.training.ledger import peak_memory_bytes
from offclip.losses import info_nce

PAIRS, PIECES = 8, 28_996
TOWERS = {"image": {"kind": "vit"}, "text": {"kind": "bert"}}
WORDS = ["there", "is", "no", "a", "small", "left", "right", "pleural", "effusion", "##s", "heart", "enlarged"]


@dataclass(frozen=True)
class Step:
    """What one step did."""

    loss: float
    parameters: int
    unmoved: frozenset[str]
    """Parameters that are as before."""
    seconds: float
    """Forward, backward and update, without building the model."""


def step(pairs: int = PAIRS) -> Step:
    """Build the model from seed 0 and train it on one batch of ``pairs``."""
    torch.manual_seed(0)
    model = CARZero(TOWERS, PUBLISHED, padded([*SPECIAL, *WORDS], PIECES)).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-5, betas=(0.5, 0.999), weight_decay=1e-6)
    before = {name: parameter.double().sum().item() for name, parameter in model.named_parameters()}
    pixels = torch.rand(pairs, 1, 224, 224)
    tokens = model.tokenize([" ".join(WORDS[row:] + WORDS[:row]) for row in range(pairs)])
    started = time.perf_counter()
    matrices = model.pair_logits(model.encode_images(pixels), model.encode_texts(tokens))
    loss = sum((info_nce(matrix) for matrix in matrices), torch.zeros(()))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
    optimizer.step()
    seconds = time.perf_counter() - started
    after = {name: parameter.double().sum().item() for name, parameter in model.named_parameters()}
    unmoved = frozenset(name for name in before if before[name] == after[name])
    return Step(loss.item(), sum(p.numel() for p in model.parameters()), unmoved, seconds)


if __name__ == "__main__":
    taken = step()
    peak = peak_memory_bytes(torch.device("cpu"))
    print(f"{taken.parameters / 1e6:.0f} M parameters, batch {PAIRS}, {torch.get_num_threads()} threads: ", end="")
    print(f"{taken.seconds:.1f} s, {peak / 1e9:.1f} GB")

"""The way of docs/objective.md over several processes: two with half of the pairs each are one with all of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from offclip import objective
from tests.offclip.batches import MIXED
from tests.repository import REPOSITORY

GUIDE = REPOSITORY / "docs" / "objective.md"


class Towers(nn.Module):
    """The smallest CLIP: one linear map for images, one for texts."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image, self.text = nn.Linear(7, 5).double(), nn.Linear(4, 5).double()

    def forward(self, images: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
        return self.image(images), self.text(texts)


def pairs(rows: slice) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(len(MIXED), 7, generator=generator, dtype=torch.float64)
    texts = torch.randn(len(MIXED), 4, generator=generator, dtype=torch.float64)
    return images[rows], texts[rows], torch.tensor(MIXED)[rows]


def learnt(towers: nn.Module, rule: nn.Module, loss: Tensor) -> dict[str, Any]:
    """The loss and every gradient behind it."""
    loss.backward()
    parameters = [*towers.parameters(), *rule.parameters()]
    return {"loss": loss.detach(), "gradients": [parameter.grad for parameter in parameters]}


def process(rank: int, folder: str, gather: str) -> None:
    """One of two: its half of the pairs, gathered by the guide's function."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    names: dict[str, Any] = {}
    exec(gather, names)
    found = {}
    for name in objective.OBJECTIVES:
        towers, rule = DistributedDataParallel(Towers()), objective.build(name).double()
        rule = DistributedDataParallel(rule) if list(rule.parameters()) else rule
        images, texts, is_normal = pairs(slice(3 * rank, 3 * rank + 3))
        image_features, text_features = map(names["gathered"], towers(images, texts))
        found[name] = learnt(towers, rule, rule(image_features @ text_features.T, names["gathered"](is_normal)))
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of the two processes found."""
    code = re.search(r"```python\n(import torch\n.*?def gathered.*?)```", GUIDE.read_text(), re.DOTALL)
    assert code
    folder = tmp_path_factory.mktemp("processes")
    torch.multiprocessing.spawn(process, (str(folder), code[1]), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("name", objective.OBJECTIVES)
def test_gathered_features_give_the_loss_and_gradients_of_the_whole_batch(
    both: list[dict[str, Any]], name: str
) -> None:
    towers, rule = Towers(), objective.build(name).double()
    images, texts, is_normal = pairs(slice(None))
    image_features, text_features = towers(images, texts)
    alone = learnt(towers, rule, rule(image_features @ text_features.T, is_normal))
    for rank in range(2):
        torch.testing.assert_close(both[rank][name], alone, rtol=1e-9, atol=1e-12)

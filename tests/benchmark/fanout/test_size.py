"""What an item takes of a machine, and what no cluster can hold."""

from __future__ import annotations

import pytest
import yaml

from benchmark.common.errors import UserError
from benchmark.fanout import size
from benchmark.fanout.item import Item
from benchmark.fanout.size import Node, Size
from benchmark.pipeline import settings
from tests.repository import REPOSITORY

TRAIN, SCORE, DECODE = (Item(f"{what}@x", f"python -m benchmark {what} x") for what in ("train", "score", "decode"))
LAPTOP = [Node("a", "laptop", 8, 0)]
CLUSTER = [Node(f"n{number}", f"gpu-{number}", 32, 4) for number in range(2)]


def chosen(**training: object) -> settings.Settings:
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    values["training"] |= {"threads": 2, **training}
    values["scoring"] |= {"threads": 1}
    values["cohort"] |= {"workers": 64}
    return settings.parse(values)


@pytest.mark.parametrize(
    ("item", "nodes", "gpus", "cpus", "expected"),
    [
        (TRAIN, LAPTOP, None, None, Size(2)),
        (SCORE, LAPTOP, None, None, Size(1)),
        (DECODE, LAPTOP, None, None, Size(8)),
        (TRAIN, LAPTOP, None, 1.0, Size(1)),
        (TRAIN, CLUSTER, None, None, Size(2, 1)),
        (TRAIN, CLUSTER, 0.5, None, Size(2, 0.5)),
        (SCORE, CLUSTER, 0.5, None, Size(1, 0.5)),
        (TRAIN, CLUSTER, 4.0, 8.0, Size(8, 4)),
        (TRAIN, CLUSTER, 8.0, None, Size(2, 4, 2)),
        (SCORE, CLUSTER, 8.0, None, Size(1, 1)),
        (DECODE, CLUSTER, 8.0, None, Size(32)),
    ],
)
def test_what_an_item_takes(item: Item, nodes: list[Node], gpus: float, cpus: float, expected: Size) -> None:
    assert size.of(item, chosen(), nodes, gpus, cpus) == expected


def test_a_run_on_the_cpu_takes_no_gpu() -> None:
    assert size.of(TRAIN, chosen(device="cpu"), CLUSTER, None, None) == Size(2)


def test_only_a_run_on_several_gpus_is_started_by_torchrun() -> None:
    assert [s.is_distributed for s in (Size(2), Size(2, 0.5), Size(2, 1), Size(2, 4), Size(2, 1, 2))] == [
        False, False, False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("gpus", [1.0, 0.5, 16.0])
def test_too_few_gpus_are_a_sentence(gpus: float) -> None:
    nodes = LAPTOP if gpus < 2 else CLUSTER
    with pytest.raises(UserError, match=rf"--gpus-per-run asks for {gpus:g} GPUs, but .* add nodes\.$"):
        size.of(TRAIN, chosen(), nodes, gpus, None)


def test_too_few_cpus_are_a_sentence() -> None:
    with pytest.raises(UserError, match="--cpus-per-run asks for 9 CPUs, but the largest node has 8"):
        size.of(TRAIN, chosen(), LAPTOP, None, 9.0)

"""What the command line makes of items: shards where they pay, and arguments that mean nothing are refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmark import cli
from benchmark.fanout import command
from benchmark.fanout.item import Item
from benchmark.fanout.size import Node

DECODE = Item("decode@open_i", "python -m benchmark decode open_i")
TRAIN = Item("train@clip-0", "python -m benchmark train --system clip --seed 0")
NODES = [Node(str(number), f"node-{number}", 8, 0) for number in range(3)]


@pytest.fixture(autouse=True)
def _a_long_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.decoding, "waiting", {"open_i": 3 * command.IMAGES_A_SHARD}.__getitem__)


def parts(item: Item, nodes: list[Node], current: bool = False) -> list[Item]:
    pipeline: Any = SimpleNamespace(is_current=lambda _: current)
    return command._in_parts(item, pipeline, nodes)


def test_a_long_list_is_decoded_in_one_shard_a_node_and_then_taken_over() -> None:
    *shards, whole = parts(DECODE, NODES)
    assert [shard.line for shard in shards] == [f"{DECODE.line} --shard {number}/3" for number in (1, 2, 3)]
    assert {shard.part_of for shard in shards} == {DECODE.name}
    assert whole.needs == {shard.name for shard in shards}
    assert (whole.name, whole.line) == (DECODE.name, DECODE.line)
    assert shards[0].log.name == "decode@open_i-shard-1-of-3.log"
    assert {shard.command for shard in shards} == {"decode"}


@pytest.mark.parametrize(
    ("item", "nodes", "current"), [(DECODE, NODES[:1], False), (DECODE, NODES, True), (TRAIN, NODES, False)]
)
def test_what_gains_nothing_stays_whole(item: Item, nodes: list[Node], current: bool) -> None:
    assert parts(item, nodes, current) == [item]


def test_a_short_list_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.decoding, "waiting", lambda _: 2 * command.IMAGES_A_SHARD - 1)
    assert parts(DECODE, NODES) == [DECODE]


@pytest.mark.parametrize("words", [("--gpus-per-run", "-1"), ("--cpus-per-run", "x"), ("--max-minutes", "nan")])
def test_numbers_out_of_range_are_refused(words: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["fanout", *words])
    assert "expected a number of at least 0" in capsys.readouterr().err

"""One item of the pipeline that can run anywhere: ``train@clip-0``, ``score@clip-0``, ``decode@open_i``."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path

LOGS = Path("logs")
"""Log files of the items, one each; what is there is read by people alone."""
PARALLEL = ("decode", "pretrain", "train", "score")
"""Sub-commands whose items depend on no item of their own stage and take long enough to be worth another machine."""
COMMAND = re.compile(r"python -m benchmark ([a-z-]+)(?: |$)")


def command_of(line: str) -> str:
    """The sub-command of a stage's command line in dvc.yaml; "" where it is none of ours."""
    found = COMMAND.match(line)
    return found[1] if found else ""


@dataclass(frozen=True)
class Item:
    """What DVC knows of one item."""

    name: str
    """As DVC addresses it."""
    line: str
    """The command of dvc.yaml, the same that `dvc repro` runs."""
    needs: frozenset[str] = field(default_factory=frozenset)
    """Other items, by name, whose outputs it reads."""

    part_of: str = ""
    """The item that takes over what this one leaves; "" where DVC does."""

    @property
    def command(self) -> str:
        """One of ``PARALLEL``."""
        return command_of(self.line)

    @property
    def arguments(self) -> tuple[str, ...]:
        """What follows ``python``: ``-m benchmark train --system clip --seed 0``."""
        return tuple(shlex.split(self.line)[1:])

    @property
    def log(self) -> Path:
        """Where its output goes: ``logs/train@clip-0.log``."""
        return LOGS / f"{self.name.replace(' ', '-').replace('/', '-of-')}.log"

    def shards(self, count: int) -> list[Item]:
        """This decoding as ``count`` parts and, last, the item itself, which takes them over."""
        parts = [
            Item(f"{self.name} shard {number}/{count}", f"{self.line} --shard {number}/{count}", self.needs, self.name)
            for number in range(1, count + 1)
        ]
        return [*parts, replace(self, needs=self.needs | {part.name for part in parts})]

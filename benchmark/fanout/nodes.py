"""Which machines may take part: those that see this folder, with this code and these packages."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.fanout.item import LOGS
from benchmark.fanout.worker import Facts, facts
from benchmark.pipeline import provenance

CODE = ("offclip", "baselines", "benchmark", "dvc.yaml", "params.yaml")
"""What a node must see as it is here."""


@contextmanager
def token(folder: Path) -> Iterator[tuple[Path, str]]:
    """A file in the folder with something that only who sees the same folder can know; gone at the end."""
    path, content = files.temporary(folder / LOGS / "fanout"), secrets.token_hex(16)
    files.write_text(path, content)
    try:
        yield path, content
    finally:
        path.unlink(missing_ok=True)


def here(folder: Path, token_file: Path) -> Facts:
    """This machine."""
    return facts(str(folder), str(token_file), provenance.PACKAGES, CODE)


def refuse_strangers(mine: Facts, others: list[Facts], folder: Path) -> None:
    """Refuse nodes on which an item would be another one.

    Raises:
        UserError: a node does not see the folder, or has other code or packages.
    """
    for node in others:
        if node.token != mine.token:
            raise UserError(
                f"Node {node.name} does not see {folder}; every node needs the same folder at the same path (a shared "
                "file system): mount it there, or take the node out of the cluster."
            )
        if node.code != mine.code:
            raise UserError(
                f"Node {node.name} has another version of the code in {folder}; it must see this very folder, and "
                "nobody may edit it meanwhile."
            )
        for package, version in mine.versions.items():
            if node.versions.get(package) != version:
                raise UserError(
                    f"Node {node.name} has {package} {node.versions.get(package)}, this machine has {version}; results "
                    "could differ: install the same there (constraints.txt), or start both from one environment."
                )

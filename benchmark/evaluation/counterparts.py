"""Finding names across vocabularies: which training label answers for a finding of an evaluation set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

PATH = Path(__file__).with_name("counterparts.yaml")


def load(path: Path = PATH) -> dict[str, dict[str, str]]:
    """Dataset -> finding -> training label, as counterparts.yaml has it."""
    table: dict[str, dict[str, str]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return table


def of(dataset: str, finding: str, trained: Sequence[str], table: dict[str, dict[str, str]]) -> str | None:
    """The training label that answers for ``finding``: its entry, else the label of the same name, else None.

    Args:
        dataset: whose vocabulary ``finding`` is from.
        finding: its name there.
        trained: labels that the probe was trained on.
        table: of ``load``.
    """
    by_name = {name.lower(): name for name in trained}
    return by_name.get(table.get(dataset, {}).get(finding, finding).lower())

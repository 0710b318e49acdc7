"""What of a release cannot be used: how much of it is allowed, and where its names may be said."""

from __future__ import annotations

from pathlib import Path

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout

EXAMPLES = 5


def refuse_above(
    dataset: str, bad: int, total: int, what: str, listed: list[str], max_missing: float, named: bool
) -> None:
    """Fail when more than ``max_missing`` of ``total`` is unusable; without ``named`` the names go to a file only.

    Raises:
        UserError: says how much, an example or the file that lists it, and what to do.
    """
    if total and bad / total > max_missing:
        examples = f"for example {'; '.join(listed[:EXAMPLES])}"
        shown = examples if named else f"listed in {list_privately(dataset, listed)}"
        raise UserError(
            f"{dataset}: {bad} of {total} {what} cannot be used ({bad / total:.1%}, allowed are {max_missing:.1%}), "
            f"{shown}; complete the download, or raise cohort.max_missing in params.yaml."
        )


def list_privately(dataset: str, listed: list[str]) -> Path:
    """Names of a real release lead to its patients: they go to a file beside the data, never to a log."""
    path = layout.raw(dataset).parent / f".{dataset}.left_out.txt"
    files.write_text(path, "\n".join(listed) + "\n")
    return path

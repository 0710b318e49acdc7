"""``python -m tests.benchmarks.table FILE``: one readable table of what pytest-benchmark stored.

A benchmark that has a plain reference keeps ``ratio``, ``reference`` and, where one is set, ``target`` in its
``extra_info``; what else it keeps there is printed behind.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

OWN_COLUMNS = ("ratio", "reference", "target")


def readable(seconds: float) -> str:
    """Three digits and a unit."""
    unit, scale = next(((u, s) for u, s in (("s", 1.0), ("ms", 1e3)) if seconds * s >= 1), ("µs", 1e6))
    return f"{seconds * scale:.3g} {unit}"


def cells(benchmark: dict[str, Any]) -> tuple[str, ...]:
    """One row: name, fastest time, ratio, reference, target, the rest."""
    extra = benchmark["extra_info"]
    ratio = f"{extra['ratio']:.3g}x" if "ratio" in extra else ""
    others = (f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}" for key, value in extra.items()
              if key not in OWN_COLUMNS)  # fmt: skip
    name = benchmark["name"].removeprefix("test_").replace("_", " ")
    target = f">= {extra['target']}" if "target" in extra else ""
    return (
        escape(name),
        readable(benchmark["stats"]["min"]),
        ratio,
        extra.get("reference", ""),
        target,
        ", ".join(others),
    )


def table(stored: dict[str, Any]) -> Table:
    """Benchmarks with a ratio first, in the order they ran."""
    shown = Table(
        "", "fastest", "ratio to", "reference", "target", "besides",
        title=f"{stored['machine_info']['cpu']['brand_raw']}, {stored['machine_info']['cpu']['count']} cores",
        caption="times of one run on a machine that may have been busy; the file has rounds, medians and spread",
    )  # fmt: skip
    for benchmark in sorted(stored["benchmarks"], key=lambda found: "ratio" not in found["extra_info"]):
        shown.add_row(*cells(benchmark))
    return shown


if __name__ == "__main__":
    Console(width=None if sys.stdout.isatty() else 180).print(table(json.loads(Path(sys.argv[1]).read_text())))

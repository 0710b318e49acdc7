"""The released models' part of ``python -m benchmark doctor``: which files are there, their pages, what is missing."""

from __future__ import annotations

from pathlib import Path

from baselines.releases import File
from benchmark.common import files
from benchmark.pipeline import released
from benchmark.pipeline.settings import Settings


def lines(values: Settings) -> list[str]:
    """A block for each listed system that names its release, and how many are complete; [] where none does."""
    blocks, complete = [], 0
    for name in values.names():
        system = values.systems[name]
        if (release := released.of(system)) is None:
            continue
        found = [(path, file, path.is_file()) for path, file in released.wanted(system)]
        missing = [path for path, file, is_there in found if file.needed and not is_there]
        complete += not missing
        state = "there" if not missing else "NOT THERE, left out" if system.optional else "NOT THERE"
        if values.cohort.size < release.size:
            state += f"; needs `cohort.size: {release.size}` or more, found {values.cohort.size}"
        told = [_line(path, file, is_there) for path, file, is_there in found]
        told += [f"  {'licence':<11}{release.licence}"]
        blocks.append("\n".join([f"{system.label} ({release.source}): {state}", *told]))
    if not blocks:
        return []
    total = f"{complete} of {len(blocks)} released models have their files."
    return [*blocks, f"{total} Pages may have moved, and none publishes a checksum."]


def _line(path: Path, file: File, is_there: bool) -> str:
    """A file: its size and SHA-256, or the page to look at."""
    if is_there:
        size, digest = path.stat().st_size, files.sha256_file(path)
        return f"  {'there':<11}{path}: {size:,} bytes, SHA-256 {digest}; from {file.page}"
    return f"  {'missing' if file.needed else 'none':<11}{path}; {'' if file.needed else 'not needed, '}see {file.page}"

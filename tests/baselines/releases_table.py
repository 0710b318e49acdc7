"""The tables of docs/released-models.md, from releases.toml: `python -m tests.baselines.releases_table` prints them."""

from __future__ import annotations

from baselines import releases
from benchmark.artifacts.evidence import SEEN
from benchmark.pipeline import layout
from benchmark.reporting import names

NO_HEATMAP = "no heatmap published"


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def facts() -> str:
    """What each release is."""
    heads = ["", "architecture", "trained on", "zero-shot score", "heatmap", "`cohort.size`", "licence"]
    rows = [
        [f"{r.name} ({r.source})", r.architecture, r.trained, r.score, r.heatmap or NO_HEATMAP, str(r.size), r.licence]
        for r in releases.read().values()
    ]
    return _table(heads, rows)


def sources() -> str:
    """Which files each release needs, and the pages that name them."""
    rows = [
        [r.name if first else "", f"`weights/{file.path}`", f"{file.page}{'' if file.needed else ' (not needed)'}"]
        for r in releases.read().values()
        for first, file in ((file is r.files[0], file) for file in r.files)
    ]
    return _table(["", "file", "page"], rows)


def seen() -> str:
    """What each release knows of each dataset."""
    heads = ["", *map(names.dataset, layout.DATASETS)]
    rows = [
        [r.name, *(f"**{SEEN[r.seen[d]]}**" if r.seen[d] != "no" else "no" for d in layout.DATASETS)]
        for r in releases.read().values()
    ]
    return _table(heads, rows)


if __name__ == "__main__":
    print("\n\n".join((facts(), sources(), seen())))

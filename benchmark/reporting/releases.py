"""What reports say of released models: where they come from, what they know of the datasets, how they were asked.

The facts are those of baselines/releases.toml, for systems that name their ``release``.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from baselines.releases import SEEN
from benchmark.artifacts import select
from benchmark.artifacts.evidence import SEEN as MARKS
from benchmark.artifacts.evidence import Evidence
from benchmark.pipeline import layout
from benchmark.reporting import names, tables
from benchmark.reporting.tables import Column, Table

NO_HEATMAP = "no heatmap published"


def facts(found: Evidence) -> Table:
    """A row for each released model that says which one it is."""
    cells: tables.Cells = []
    records = []
    for system in found.released:
        if (release := found.release(system)) is None:
            continue
        asked = found.prompts(system)
        cells.append(
            [
                found.label(system),
                release.source,
                release.architecture,
                release.trained,
                asked,
                release.heatmap or NO_HEATMAP,
                release.licence,
            ]
        )
        records.append(
            {
                "system": system,
                "release": release.key,
                "source": release.source,
                "architecture": release.architecture,
                "trained": release.trained,
                "score": release.score,
                "heatmap": release.heatmap,
                "licence": release.licence,
                "prompts": asked,
            }
        )
    return tables.table(
        "released_models",
        "The released models.",
        [
            Column("Model", "left"),
            Column("Published", "left", wide=2),
            Column("Architecture", "left", wide=3),
            Column("Trained on", "left", wide=3),
            Column("Prompts", "left"),
            Column("Heatmap", "left", wide=3),
            Column("Licence", "left", wide=2),
        ],
        cells,
        pd.DataFrame(records),
        note="Facts from the published code and papers; where the weights came from is the user's knowledge. "
        "Prompts: the harness's common ones, or the model's own.",
    )


def knowledge(found: Evidence) -> Table:
    """What each released model knows of each dataset."""
    shown = [system for system in found.released if found.release(system) is not None]
    cells: tables.Cells = []
    records = []
    for system in shown:
        release = found.release(system)
        assert release is not None
        cells.append([found.label(system), *[MARKS.get(release.seen[d], "no") for d in layout.DATASETS]])
        records += [{"system": system, "dataset": d, "seen": release.seen[d]} for d in layout.DATASETS]
    return tables.table(
        "seen_in_training",
        "What each released model has seen of the datasets.",
        [Column("Model", "left"), *[Column(names.dataset(d), "left") for d in layout.DATASETS]],
        cells,
        pd.DataFrame(records),
        note=" ".join(f"{MARKS[status].capitalize()}: {said}." for status, said in SEEN.items()),
    )


def legend(found: Evidence) -> str:
    """What the marks mean that stand in this report's tables; "" where none does."""
    used = {found.seen(system, dataset) for system in found.released for dataset in found.datasets}
    return " ".join(f"{MARKS[status].capitalize()}: {said}." for status, said in SEEN.items() if status in used)


def prompts(found: Evidence) -> str:
    """Whose sentences the released models were asked with."""
    own = [found.label(system) for system in found.released if found.prompts(system) == "own"]
    if not found.released:
        return ""
    if not own:
        return "Every model was asked in the common words (prompts: common)."
    were, their = ("was", "its") if len(own) == 1 else ("were", "their")
    return (
        f"{names.join(own)} {were} asked in {their} own words "
        "(prompts: own), the others in the common ones; normal radiographs were asked for in the common words."
    )


def absent(found: Evidence) -> str:
    """Which models were left out, and which files are missing; "" where none was."""
    said = [
        f"{found.label(system)} ({' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not there)"
        for system, missing in found.absent.items()
    ]
    return f"Left out: {names.join(said)}." if said else ""


def no_heatmap(found: Evidence, system: str) -> str:
    """What stands in the grounding columns of a system that was not measured there."""
    return tables.MISSING if found.publishes_heatmaps(system) else NO_HEATMAP


def marks_of_pair(found: Evidence, row: select.Row) -> str:
    """What either system of a difference knows of its dataset: `` (GLoRIA: seen)``; "" where neither does."""
    marks = [
        f"{found.label(system)}: {found.seen_mark(system, row['dataset']).strip(' ()')}"
        for system in (row["a"], row["b"])
        if found.seen(system, row["dataset"])
    ]
    return f" ({'; '.join(marks)})" if marks else ""


def marked(found: Evidence, table: Table) -> Table:
    """The table with a column ``seen`` in its tidy numbers, where a released model knows a dataset of its rows."""
    data = table.data
    sides = [side for side in ("system", "a", "b") if side in data]
    if "dataset" not in data or not sides or "seen" in data:
        return table
    known = [
        "; ".join(f"{row[s]}: {status}" for s in sides if (status := found.seen(str(row[s]), str(row["dataset"]))))
        for row in data.to_dict("records")
    ]
    return replace(table, data=data.assign(seen=known)) if any(known) else table

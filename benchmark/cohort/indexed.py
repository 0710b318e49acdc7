"""What stage ``index`` hands on: a dataset as its release describes it, and the list of its image files.

``data/index/<dataset>/``: the adapter's tables as it read them, what else it said in ``release.json``, and
``files.parquet``, by which stage ``decode`` knows whether an image has changed.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import pandas as pd

from benchmark.artifacts import reading
from benchmark.artifacts.stages import again
from benchmark.cohort.contract import Exclusion, Release
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout

TABLES = ("index", "regions")


def write(dataset: str, cohort: Release, listed: pd.DataFrame) -> None:
    """Write ``data/index/<dataset>/`` in one step.

    Args:
        dataset: its name.
        cohort: what the adapter read.
        listed: the files in the order of ``cohort.index``, as ``disk.look_up`` gives them.
    """
    with files.replacing(layout.index(dataset)) as folder:
        folder.mkdir()
        for name in TABLES:
            files.write_parquet(folder / f"{name}.parquet", getattr(cohort, name))
        files.write_parquet(folder / "files.parquet", listed)
        said = {field.name: getattr(cohort, field.name) for field in fields(Release) if field.name not in TABLES}
        files.write_json(
            folder / "release.json", said | {"exclusions": [asdict(exclusion) for exclusion in cohort.exclusions]}
        )


def read(dataset: str) -> Release:
    """The cohort that ``write`` wrote.

    Raises:
        UserError: the folder is missing or spoilt.
    """
    folder = layout.index(dataset)
    tables: dict[str, Any] = {name: reading.read_table(folder / f"{name}.parquet") for name in TABLES}
    said = reading.read_json(folder / "release.json")
    try:
        left_out = [Exclusion(**{**item, "names": tuple(item["names"])}) for item in said.pop("exclusions")]
        kept: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in said.items()
        }
        return Release(**kept, **tables, exclusions=tuple(left_out))
    except (KeyError, TypeError, AttributeError):
        path = folder / "release.json"
        raise UserError(f"{path} lacks what the index says of its release; run {again(path)}.") from None


def read_files(dataset: str) -> pd.DataFrame:
    """The list of files that ``write`` wrote.

    Raises:
        UserError: it is missing or damaged.
    """
    return reading.read_table(layout.index(dataset) / "files.parquet", ["path", "size", "modified"])

"""What stage ``index`` hands on: a dataset as its release describes it, and the list of its image files.

``data/index/<dataset>/``: the adapter's tables as it read them, what else it said in ``release.json``, and
``files.parquet``, by which stage ``decode`` knows whether an image has changed.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import pandas as pd

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
    said = files.read_json(folder / "release.json")
    try:
        left_out = [Exclusion(**{**item, "names": tuple(item["names"])}) for item in said.pop("exclusions")]
        kept: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in said.items()
        }
        kept |= {name: pd.read_parquet(folder / f"{name}.parquet") for name in TABLES}
        return Release(**kept, exclusions=tuple(left_out))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{folder} cannot be read; delete it and run `dvc repro index@{dataset}`.") from None


def read_files(dataset: str) -> pd.DataFrame:
    """The list of files that ``write`` wrote.

    Raises:
        UserError: it is missing or spoilt.
    """
    path = layout.index(dataset) / "files.parquet"
    try:
        return pd.read_parquet(path, columns=["path", "size", "modified"])
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro index@{dataset}`.") from None
    except (OSError, ValueError):
        raise UserError(f"{path} cannot be read; delete it and run `dvc repro index@{dataset}`.") from None

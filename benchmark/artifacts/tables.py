"""Tables that one stage writes and another reads: a damaged one is one sentence that names the file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmark.common.errors import UserError


def read_table(path: Path) -> pd.DataFrame:
    """Read a parquet file.

    Raises:
        UserError: it is missing or unreadable.
    """
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as parquet ({error}); delete it and run `dvc repro`.") from None

"""Studies for the examples: a cohort that the benchmark prepared, or your own CSV.

A cohort is a folder such as ``data/cohort/mimic_cxr`` (``dvc repro prepare@mimic_cxr`` makes it; docs/files.md). A CSV
has the columns ``path`` (an image file, relative to the CSV) and ``normal`` (1, 0 or empty), and may have ``report``,
``patient``, ``split`` (``train`` or anything else) and one column ``label:<finding>`` (1, 0 or empty) per finding.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

LABEL = "label:"


@dataclass(frozen=True)
class Studies:
    """Images with what is known of them; n rows each."""

    images: list[Image.Image]
    """Grey, as they come."""
    reports: list[str]
    """"" where there is none."""
    normal: NDArray[np.float64]
    """1 normal, 0 abnormal, NaN unknown."""
    patients: NDArray[np.str_]
    """Whose they are: the clusters of the bootstrap; the row itself where it is not said."""
    training: NDArray[np.bool_]
    """Which may be learnt from."""
    findings: pd.DataFrame
    """A column per finding: 1, 0, NaN unknown."""


def arguments(description: str | None, cohort: str) -> argparse.ArgumentParser:
    """A command line that names the studies."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n\n")[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--cohort", type=Path, default=Path(cohort), help=f"a prepared cohort (default: {cohort})")
    source.add_argument(
        "--csv", type=Path, help="your own table: path, normal, report, patient, split, label:<finding>"
    )
    return parser


def read(chosen: argparse.Namespace) -> Studies:
    """The studies that the command line names.

    Raises:
        SystemExit: they are not there, or lack a column; one sentence.
    """
    try:
        if chosen.csv:
            table = pd.read_csv(chosen.csv, dtype={"patient": str, "report": str})
            images = [Image.open(chosen.csv.parent / name).convert("L") for name in table["path"]]
            patients = table["patient"] if "patient" in table else pd.Series(table.index)
        else:
            table = pd.read_parquet(chosen.cohort / "index.parquet")
            images = [Image.fromarray(pixels) for pixels in np.load(chosen.cohort / "images.npy", mmap_mode="r")]
            patients = table["patient_id"]
        return _studies(table, images, patients)
    except FileNotFoundError as error:
        raise SystemExit(f"{error.filename} is missing; run `dvc repro prepare` first, or give --csv.") from None
    except KeyError as error:
        raise SystemExit(f"{chosen.csv or chosen.cohort}: the column {error} is missing; add it.") from None


def _studies(table: pd.DataFrame, images: list[Image.Image], patients: pd.Series) -> Studies:
    split = table.get("split", _hold_out(patients))
    labels = [name for name in table if str(name).startswith(LABEL)]
    findings = table[labels].astype("float64")
    return Studies(
        images,
        table.get("report", pd.Series("", index=table.index)).fillna("").tolist(),
        table["normal"].to_numpy(dtype=np.float64, na_value=np.nan),
        patients.astype(str).to_numpy(dtype=str),
        (split == "train").to_numpy(),
        findings.where(findings.isin([0, 1])).rename(columns=lambda name: name.removeprefix(LABEL)),
    )


def _hold_out(patients: pd.Series) -> pd.Series:
    """A fifth of the patients, by a hash of who they are, is kept for testing."""
    return pd.util.hash_pandas_object(patients.astype(str), index=False).mod(5).map(lambda r: "train" if r else "test")

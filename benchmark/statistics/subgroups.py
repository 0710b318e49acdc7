"""Subgroups of a dataset by what its index tells of view, sex and age: does a system detect normals in each of them?

A view is confounded with disease (an AP radiograph is taken at the bedside), so a score may rank by it. Within a
subgroup it cannot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.artifacts.cohort import Cohort

AGES = (40, 65)
"""Years at which the next age group begins."""
UNKNOWN = ("", "unknown", "U")


@dataclass(frozen=True)
class Subgroup:
    """Some of the images of a dataset."""

    subgroup: str
    """``view``, ``sex`` or ``age``."""
    level: str
    member: NDArray[np.bool_]
    """(n,) which images."""


def subgroups(cohort: Cohort, least: int) -> list[Subgroup]:
    """The subgroups in which a normal AUC can be measured, of every variable that splits the dataset.

    Args:
        cohort: of whose index the columns ``view``, ``sex`` and ``age`` (years) are read where they are.
        least: the settings' ``min_positives``: a subgroup has normals and abnormals of at least so many patients.
    """
    found = []
    for variable in ("view", "sex", "age"):
        if variable not in cohort.index:
            continue
        levels = _ages(cohort.index[variable]) if variable == "age" else cohort.index[variable].astype("string")
        levels = levels.fillna("")
        mine = [
            Subgroup(variable, str(level), (levels == level).to_numpy(bool))
            for level in sorted(set(levels) - set(UNKNOWN))
        ]
        mine = [one for one in mine if _enough(cohort, one.member, least)]
        # A variable with one level repeats the whole dataset.
        found += mine if len(mine) > 1 or (mine and not mine[0].member.all()) else []
    return found


def _ages(values: pd.Series) -> pd.Series:
    years = pd.to_numeric(values, errors="coerce")
    names = [f"under {AGES[0]}", f"{AGES[0]} to {AGES[1] - 1}", f"{AGES[1]} and over"]
    cut = pd.cut(years, [-np.inf, *AGES, np.inf], right=False, labels=names)
    return cut.astype("string")


def _enough(cohort: Cohort, member: NDArray[np.bool_], least: int) -> bool:
    patients = cohort.index["patient_id"].astype(str).to_numpy()
    return all(len(np.unique(patients[member & (cohort.normal == value)])) >= least for value in (0, 1))

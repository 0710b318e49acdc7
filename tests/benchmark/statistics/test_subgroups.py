"""Which subgroups a dataset is split into, by its index alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.artifacts.cohort import Cohort
from benchmark.statistics.subgroups import subgroups


def cohort(**columns: list[object]) -> Cohort:
    """Forty patients, every second one normal, with these columns repeated."""
    index = pd.DataFrame({name: (values * 40)[:40] for name, values in columns.items()})
    index["patient_id"] = [f"p{i}" for i in range(40)]
    index["normal"] = pd.array(np.arange(40) % 2, dtype="Int8")
    return Cohort("open_i", index, {"findings": []}, np.zeros((0, 1, 1), np.uint8))


def named(found: Cohort, least: int = 5) -> dict[str, int]:
    return {f"{one.subgroup} {one.level}": int(one.member.sum()) for one in subgroups(found, least)}


def test_views_sexes_and_ages_are_split_where_the_index_has_them() -> None:
    ages = [39, 39, 40, 40, 65, 65, 90, 90]
    found = cohort(view=["PA", "PA", "AP", "AP"], sex=["F", "F", "F", "F", "M", "M", "M", "M"], age=ages)
    assert named(found) == {
        **{"view AP": 20, "view PA": 20, "sex F": 20, "sex M": 20},
        **{"age under 40": 10, "age 40 to 64": 10, "age 65 and over": 20},
    }
    assert named(cohort()) == {}


def test_a_variable_that_splits_nothing_is_left_out() -> None:
    assert named(cohort(view=["PA"])) == {}


def test_an_unknown_level_and_one_of_too_few_patients_are_no_subgroups() -> None:
    found = cohort(view=["PA", "PA", "PA", "PA", "PA", "PA", "unknown", "unknown", "AP", "AP"])
    assert named(found) == {"view PA": 24}
    assert named(found, least=4) == {"view AP": 8, "view PA": 24}


def test_a_missing_age_belongs_to_no_group() -> None:
    found = cohort(age=[30, 30, 70, 70, None, None])
    assert sum(named(found).values()) == 28

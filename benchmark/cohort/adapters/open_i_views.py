"""Which Open-I images are frontal: three tables that say so, and the rule where they disagree.

The release names no view. The DICOM headers do (``nlmcxr_dicom_metadata.csv``), often wrongly: they call both images
of 1,200 studies frontal, and leave a third blank. ``nlmcxr_tsne_pa.csv`` (torchxrayvision) judges one image of each
study by its pixels; ``indiana_projections.csv`` (Kaggle) is a list of all images. The rule:

1. ``indiana_projections.csv`` decides where it names the image; else the pixels' table; else the header. An image of
   which two tables say different things is a conflict, and is counted.
2. Where more than one table was read, a study has at most one frontal image: the one that most tables call frontal,
   then PA before AP before unnamed, then the first name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.cohort import tables
from benchmark.cohort.contract import FRONTAL
from benchmark.materials import contents

VIEWS = {"PA": "PA", "AP": "AP", "Frontal": "frontal", "LL": "lateral", "RL": "lateral", "L": "lateral"}
VIEWS |= {"LATERAL": "lateral", "LARGE LATERAL": "lateral", "Lateral": "lateral"}


@dataclass(frozen=True)
class ViewTable:
    """What one table says."""

    name: str
    views: dict[str, str]
    """Image -> ``PA``, ``AP``, ``frontal`` or ``lateral``; images of which it says nothing are not in it."""

    @classmethod
    def of(cls, name: str, images: pd.Series, stated: pd.Series) -> ViewTable:
        """From two columns, the view in the words of the table."""
        pairs = zip(images, stated, strict=True)
        return cls(name, {image: VIEWS[view] for image, view in pairs if view in VIEWS})


def read_tables(root: Path) -> list[ViewTable]:
    """The tables of a root, the most trusted first; those of the public wheel where it has none.

    Raises:
        UserError: a table lacks a column, or none is in the root and the public wheel was not fetched.
    """
    return list(_of_root(root)) or [
        ViewTable.of(name, *(table[column] for column in table)) for name, table in contents.open_i_view_tables()
    ]


def _of_root(root: Path) -> Iterator[ViewTable]:
    if path := tables.find(root, ["indiana_projections.csv*"]):
        table = tables.read_table(path, ["filename", "projection"])
        images = "CXR" + table["filename"].str.removesuffix(".png").str.removesuffix(".dcm")
        yield ViewTable.of(path.name, images, table["projection"])
    for pattern, column in (("nlmcxr_tsne_pa.csv*", "tsne-view"), ("nlmcxr_dicom_metadata.csv*", "View Position")):
        if path := tables.find(root, [pattern]):
            table = tables.read_table(path, ["imageid", column])
            yield ViewTable.of(path.name, table["imageid"], table[column])


def judge(images: pd.DataFrame, read: list[ViewTable]) -> tuple[pd.Series, pd.Series, int]:
    """The view of each image, whether it is one frontal image too many of its study, and the number of conflicts.

    Args:
        images: columns ``image_id`` and ``study_id``.
        read: the tables, the most trusted first.
    """
    said = pd.DataFrame({table.name: images["image_id"].map(table.views.get) for table in read}, index=images.index)
    view = said.bfill(axis=1).iloc[:, 0].fillna("unknown").astype(str)
    frontal = said.isin(FRONTAL)
    conflicts = frontal.any(axis=1) & (said == "lateral").any(axis=1)
    surplus = pd.Series(False, index=images.index)
    if len(read) > 1:
        order = pd.DataFrame(
            {
                "study": images["study_id"],
                "votes": -frontal.sum(axis=1),
                "view": view.map({name: at for at, name in enumerate(FRONTAL)}),
                "name": images["image_id"],
            }
        )[view.isin(FRONTAL)].sort_values(["study", "votes", "view", "name"])
        surplus[order.index[order["study"].duplicated()]] = True
    return view, surplus, int(conflicts.sum())

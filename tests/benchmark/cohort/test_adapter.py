"""What every adapter promises, on a miniature of each release: contract, order, clear refusals."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pandas as pd
import pytest

from benchmark import layout
from benchmark.cohort import adapter
from benchmark.errors import UserError
from tests.benchmark.cohort import miniatures
from tests.benchmark.cohort.conftest import Read

TABLES = {
    "mimic_cxr": ("mimic-cxr-2.0.0-metadata.csv.gz", "ViewPosition"),
    "vindr_cxr": ("annotations/image_labels_test.csv", "Pneumothorax"),
    "open_i": ("nlmcxr_dicom_metadata.csv.gz", "View Position"),
    "chexpert": ("test_labels.csv", "Edema"),
    "padchest": (miniatures.PADCHEST, "Projection"),
}


def test_index_holds_the_columns_of_the_contract(miniature: tuple[str, Path], read: Read) -> None:
    dataset, root = miniature
    cohort = read(dataset, root)
    columns = list(cohort.index.columns)
    assert columns == [*adapter.INDEX_COLUMNS, *(f"label:{finding}" for finding in cohort.findings)]
    assert cohort.index["image_id"].is_unique
    assert cohort.index["path"].is_monotonic_increasing
    assert all((root / path).is_file() for path in cohort.index["path"])
    assert (cohort.index.dtypes.filter(like="label:") == "Int8").all()
    assert set(cohort.regions["image_id"]) <= set(cohort.index["image_id"])
    assert set(cohort.regions["finding"]) <= set(cohort.findings)


def test_every_release_has_a_mark_by_which_it_is_known() -> None:
    assert tuple(adapter.MARKS) == layout.DATASETS


def test_reading_twice_gives_the_same(miniature: tuple[str, Path], read: Read) -> None:
    dataset, root = miniature
    first, second = read(dataset, root), read(dataset, root)
    pd.testing.assert_frame_equal(first.index, second.index)
    pd.testing.assert_frame_equal(first.regions, second.regions)
    assert first.exclusions == second.exclusions


def test_a_root_that_is_no_folder_is_refused(miniature: tuple[str, Path], read: Read) -> None:
    dataset, root = miniature
    with pytest.raises(
        UserError, match=rf"{dataset}: the root .*nowhere is not a folder; set datasets\.{dataset}\.root"
    ):
        read(dataset, root / "nowhere")


def test_another_datasets_root_is_recognised(miniature: tuple[str, Path], tmp_path: Path, read: Read) -> None:
    dataset, _ = miniature
    other = "padchest" if dataset != "padchest" else "vindr_cxr"
    root = miniatures.WRITERS[other](tmp_path / "other")
    with pytest.raises(UserError, match=rf"{dataset}: expected .* found .* \(it looks like {other}\); set datasets"):
        read(dataset, root)


def test_an_empty_root_is_refused(miniature: tuple[str, Path], tmp_path: Path, read: Read) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=f"{miniature[0]}: expected .* found nothing; set datasets"):
        read(miniature[0], tmp_path / "empty")


def test_a_renamed_column_is_named(miniature: tuple[str, Path], read: Read) -> None:
    dataset, root = miniature
    name, column = TABLES[dataset]
    path = root / name
    unzip, zip_ = (gzip.decompress, gzip.compress) if path.suffix == ".gz" else (bytes, bytes)
    path.write_bytes(zip_(unzip(path.read_bytes()).replace(column.encode(), column.lower().encode() + b"_2", 1)))
    with pytest.raises(UserError, match=f"expected a column '{column}', found ") as error:
        read(dataset, root)
    assert str(path) in str(error.value)


def test_an_empty_table_leaves_nothing_but_no_crash(miniature: tuple[str, Path], read: Read) -> None:
    dataset, root = miniature
    if dataset == "open_i":
        shutil.rmtree(root / "ecgen-radiology")
        (root / "ecgen-radiology").mkdir()
        with pytest.raises(UserError, match=r"open_i: .* holds no \.xml report"):
            read(dataset, root)
        return
    if dataset == "vindr_cxr":
        boxes = root / "annotations/annotations_test.csv"
        boxes.write_text(boxes.read_text().splitlines()[0] + "\n")
    path = root / TABLES[dataset][0]
    unzip, zip_ = (gzip.decompress, gzip.compress) if path.suffix == ".gz" else (bytes, bytes)
    path.write_bytes(zip_(unzip(path.read_bytes()).splitlines(keepends=True)[0]))
    assert read(dataset, root).index.empty


def test_labels_outside_the_published_values_are_refused(tmp_path: Path) -> None:
    values = pd.Series(["1.0", "", "-1.0", "0", "3"], name="Edema")
    with pytest.raises(UserError, match=r"t\.csv, row 6: column 'Edema' holds '3', expected one of 0, 1, -1, blank"):
        adapter.label_column(values, tmp_path / "t.csv")
    parsed = adapter.label_column(values[:4], tmp_path / "t.csv")
    assert parsed.tolist() == [1, pd.NA, -1, 0]

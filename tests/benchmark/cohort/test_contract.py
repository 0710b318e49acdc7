"""What every adapter promises, on a miniature of each release: contract, order, clear refusals."""

from __future__ import annotations

import gzip
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from benchmark.cohort import contract, labels, tables
from benchmark.common.errors import UserError
from benchmark.pipeline import layout
from tests.benchmark.cohort import miniatures
from tests.benchmark.cohort.conftest import Read

TABLES = {
    "mimic_cxr": ("mimic-cxr-2.0.0-metadata.csv.gz", "ViewPosition"),
    "vindr_cxr": ("annotations/image_labels_test.csv", "Pneumothorax"),
    "open_i": ("nlmcxr_dicom_metadata.csv.gz", "View Position"),
    "chexpert": ("test_labels.csv", "Edema"),
    "padchest": (miniatures.PADCHEST, "Projection"),
}


def change(path: Path, edit: Callable[[str], str]) -> None:
    """Rewrite a table, gzipped or not."""
    unzip, zip_ = (gzip.decompress, gzip.compress) if path.suffix == ".gz" else (bytes, bytes)
    path.write_bytes(zip_(edit(unzip(path.read_bytes()).decode()).encode()))


def test_index_holds_the_columns_of_the_contract(miniature: tuple[str, Path], read: Read) -> None:
    dataset, root = miniature
    release = read(dataset, root)
    columns = list(release.index.columns)
    assert columns == [*contract.INDEX_COLUMNS, *(f"label:{finding}" for finding in release.findings)]
    assert release.index["image_id"].is_unique
    assert release.index["path"].is_monotonic_increasing
    assert all((root / path).is_file() for path in release.index["path"])
    assert (release.index.dtypes.filter(like="label:") == "Int8").all()
    assert set(release.regions["image_id"]) <= set(release.index["image_id"])
    assert set(release.regions["finding"]) <= set(release.findings)


def test_every_release_has_a_mark_by_which_it_is_known() -> None:
    assert tuple(tables.MARKS) == layout.DATASETS


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
    change(path, lambda content: content.replace(column, f"{column.lower()}_2", 1))
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
    change(root / TABLES[dataset][0], lambda content: content.splitlines(keepends=True)[0])
    assert read(dataset, root).index.empty


def test_a_table_without_its_header_is_refused(miniature: tuple[str, Path], read: Read) -> None:
    dataset, root = miniature
    change(root / TABLES[dataset][0], lambda content: content.split("\n", 1)[1])
    with pytest.raises(UserError, match=r"expected the columns .*, but its first row names none of them; was"):
        read(dataset, root)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_root_that_may_not_be_listed_is_refused(miniature: tuple[str, Path], read: Read) -> None:
    dataset, root = miniature
    root.chmod(0)
    try:
        with pytest.raises(UserError, match=f"{dataset}: you may not list the root .*; ask its owner"):
            read(dataset, root)
    finally:
        root.chmod(0o755)


HEX = "0a1b" * 8
"""VinDr-CXR's identifiers have 32 hexadecimal digits."""
METADATA, SPLIT, LABELS = (f"mimic-cxr-2.0.0-{name}.csv.gz" for name in ("metadata", "split", "chexpert"))
SPOILT = [
    # dataset, file, what is replaced, what by
    ("mimic_cxr", METADATA, "aaaa-0002,", "aaaa-0001,"),
    ("mimic_cxr", METADATA, "dicom_id,subject_id", "x,y"),
    ("mimic_cxr", SPLIT, "aaaa-0003,53189527,10000032,train", "aaaa-0003,53189527,10000032,validate"),
    ("mimic_cxr", SPLIT, "aaaa-0001,50414267,10000032,train", "aaaa-0001,50414267,train,10000032"),
    ("mimic_cxr", LABELS, "10000032,50414267,,", "10000032,50414267,50414267,"),
    ("vindr_cxr", "annotations/image_labels_test.csv", "1c2d,", f"{HEX},"),
    ("vindr_cxr", "annotations/annotations_test.csv", "1c2d,No finding", "1c2d,Clear lungs of Mr Smith"),
    ("vindr_cxr", "annotations/annotations_test.csv", "1c2d,No finding,,,,", f"1c2d,{HEX},1,1,2,2"),
    ("vindr_cxr", "annotations/annotations_test.csv", f"{HEX},Cardiomegaly,20.5", f"{HEX},Cardiomegaly,{HEX}"),
    ("vindr_cxr", "annotations/annotations_test.csv", "1c2d,No finding,,,,", f"{HEX[::-1]},Edema,1,1,2,2"),
    ("chexpert", "test_labels.csv", "patient64743/study2", "patient64742/study1"),
    ("chexpert", "test_labels.csv", "test/patient64742/study1/view1_frontal", "test/patient64742/view1"),
    ("chexpert", "CheXlocalize/gt_segmentations_test.json", '"Airspace Opacity": ', '"Opacity": '),
    ("chexpert", "CheXlocalize/gt_segmentations_test.json", '"size": [90, 110]', '"size": [90, 111]'),
    ("padchest", miniatures.PADCHEST, "200_c.png", "200_b.png"),
    ("padchest", miniatures.PADCHEST, "Physician,\"['normal']\"", "Physician,sin hallazg ."),
    ("padchest", miniatures.PADCHEST, "Physician,\"['normal']\"", "Physician,\"['sin hallazg .']\""),
]


@pytest.mark.parametrize(("dataset", "name", "old", "new"), SPOILT)
def test_no_refusal_names_a_patient_or_quotes_a_report(
    tmp_path: Path, read: Read, dataset: str, name: str, old: str, new: str
) -> None:
    """Messages reach logs: they say file and row, and their owner looks there."""
    root = miniatures.WRITERS[dataset](tmp_path / dataset)
    for table in root.rglob("*.csv"):
        change(table, lambda content: content.replace("0a1b", HEX))
    private = {HEX, HEX[::-1], "Clear lungs", "sin hallazg", "64741", "64742", "64743", "200_b"}
    private |= {"10000032", "50414267", "53189527", "aaaa-0001", "aaaa-0003"}
    before = (root / name).read_bytes()
    change(root / name, lambda content: content.replace(old, new, 1))
    assert (root / name).read_bytes() != before
    with pytest.raises(UserError) as error:
        read(dataset, root)
    said = str(error.value).replace("patient64741/study1/view1_frontal.jpg", "")  # the published example of a path
    assert not {word for word in private if word in said}, said
    assert re.search(rf"{re.escape(str(root))}/\S+\.(csv|json)", said)


def test_labels_outside_the_published_values_are_refused(tmp_path: Path) -> None:
    values = pd.Series(["1.0", "", "-1.0", "0", "3"], name="Edema")
    with pytest.raises(UserError, match=r"t\.csv, row 6: column 'Edema' holds '3', expected one of 0, 1, -1, blank"):
        labels.label_column(values, tmp_path / "t.csv")
    parsed = labels.label_column(values[:4], tmp_path / "t.csv")
    assert parsed.tolist() == [1, pd.NA, -1, 0]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["named pipe", "folder"])
def test_what_is_no_file_where_the_table_is_expected_is_refused_at_once(
    miniature: tuple[str, Path], read: Read, make: Callable[[Path], None]
) -> None:
    dataset, root = miniature
    path = root / TABLES[dataset][0]
    path.unlink()
    make(path)
    with pytest.raises(UserError, match=r"cannot be read as CSV \(it is not a regular file\); download it again"):
        read(dataset, root)

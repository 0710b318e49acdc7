"""CheXpert: the radiologists' test labels, CheXlocalize masks, and the real training table of 223,414 rows."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from pycocotools import mask as coco

from benchmark.cohort.adapters import chexpert
from benchmark.common.errors import UserError
from tests.benchmark.cohort import miniatures
from tests.benchmark.cohort.conftest import Read

MASKS = "CheXlocalize/gt_segmentations_test.json"


def test_frontal_images_of_the_test_set(tmp_path: Path, read: Read) -> None:
    release = read("chexpert", miniatures.chexpert(tmp_path))
    assert list(release.index["path"]) == [
        "test/patient64741/study1/view1_frontal.jpg",
        "test/patient64742/study1/view1_frontal.jpg",
        "test/patient64743/study2/view1_frontal.jpg",
    ]
    assert [(item.reason, item.names) for item in release.exclusions] == [
        ("not a frontal view", ("patient64741_study1_view2_lateral",))
    ]
    assert list(release.index["normal"]) == [0, 1, 0]
    assert list(release.index["label:Support Devices"]) == [0, 0, 1]
    assert len(release.findings) == 13


def test_masks_keep_their_pixels_and_take_chexperts_names(tmp_path: Path, read: Read) -> None:
    regions = read("chexpert", miniatures.chexpert(tmp_path)).regions
    # The empty mask of Edema and the lateral image's mask are no regions.
    assert regions[["finding", "x_min", "y_min", "x_max", "y_max"]].to_numpy().tolist() == [
        ["Cardiomegaly", 30, 40, 80, 70],
        ["Lung Opacity", 40, 40, 90, 70],
    ]
    heart = coco.decode({"size": [90, 110], "counts": regions["rle"].iloc[0]})
    assert heart.sum() == 30 * 50
    assert heart[40:70, 30:80].all()


@pytest.mark.parametrize("root", ["chexlocalize", "chexlocalize/CheXpert"])
def test_the_layout_of_chexlocalize_is_read_from_either_folder(tmp_path: Path, read: Read, root: str) -> None:
    plain = miniatures.chexpert(tmp_path / "plain")
    expected = read("chexpert", plain)
    top = tmp_path / "chexlocalize"
    (top / "CheXlocalize").mkdir(parents=True)
    (plain / MASKS).rename(top / MASKS)
    (plain / "CheXlocalize").rmdir()
    plain.rename(top / "CheXpert")
    release = read("chexpert", tmp_path / root)
    assert all((tmp_path / root / path).is_file() for path in release.index["path"])
    pd.testing.assert_frame_equal(release.index.drop(columns="path"), expected.index.drop(columns="path"))
    pd.testing.assert_frame_equal(release.regions, expected.regions)
    assert release.notes == ()


@pytest.mark.parametrize("stated", ["CheXpert-v1.0/valid/", "val/"])
def test_the_validation_set_of_chexlocalize(tmp_path: Path, read: Read, stated: str) -> None:
    top = tmp_path / "chexlocalize"
    release = miniatures.chexpert(top / "CheXpert")
    (release / "test_labels.csv").rename(release / "val_labels.csv")
    (release / "test").rename(release / "val")
    table = (release / "val_labels.csv").read_text()
    (release / "val_labels.csv").write_text(table.replace("CheXpert-v1.0/test/", stated))
    (release / "CheXlocalize").rename(top / "CheXlocalize")
    (top / MASKS).rename(top / "CheXlocalize/gt_segmentations_val.json")
    release = read("chexpert", top)
    assert release.version == "CheXpert 1.0, valid set, 3 studies"
    assert all((top / path).is_file() for path in release.index["path"])
    assert len(release.regions) == 2


def test_masks_may_lie_elsewhere(tmp_path: Path, read: Read) -> None:
    root = miniatures.chexpert(tmp_path / "root")
    elsewhere = tmp_path / "masks.json"
    (root / MASKS).rename(elsewhere)
    without = read("chexpert", root)
    assert without.grounding_truth == "none"
    assert without.notes == (
        "No masks: gt_segmentations_test.json was found neither in the root nor in CheXlocalize/ in it or beside it.",
    )
    assert len(read("chexpert", root, elsewhere).regions) == 2
    with pytest.raises(UserError, match=r"the grounding file .*other\.json does not exist; correct `grounding`"):
        read("chexpert", root, tmp_path / "other.json")


def test_the_validation_set_stands_in_and_says_so(tmp_path: Path, read: Read) -> None:
    root = miniatures.chexpert(tmp_path)
    (root / "valid.csv").write_text((root / "test_labels.csv").read_text().replace("/test/", "/valid/"))
    assert read("chexpert", root).version.startswith("CheXpert 1.0, test set")
    (root / "test_labels.csv").unlink()
    release = read("chexpert", root)
    assert release.version == "CheXpert 1.0, valid set, 3 studies"
    assert release.notes[0] == "test_labels.csv was not found: the validation set is used instead."


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Pleural Other", "Pleural other", "expected a column 'Pleural Other', found .*did you mean 'Pleural other'"),
        (
            "view1_frontal.jpg,1.0,",
            "view1_frontal.jpg,2.0,",
            "row 4: column 'No Finding' holds '2.0', expected one of 0, 1",
        ),
        ("view1_frontal.jpg,1.0,", "view1_frontal.jpg,-1.0,", "row 4: column 'No Finding' holds '-1.0'"),
        ("view1_frontal.jpg,1.0,", "view1_frontal.jpg,,", "row 4: column 'No Finding' holds ''"),
        ("patient64743/study2", "patient64742/study1", "row 5 repeats the Path of row 4 "),
        (
            "test/patient64743/study2/view1_frontal",
            "test/x",
            "row 5: its Path was expected to end like",
        ),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, read: Read, old: str, new: str, message: str) -> None:
    root = miniatures.chexpert(tmp_path)
    path = root / "test_labels.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=message) as error:
        read("chexpert", root)
    assert "test_labels.csv" in str(error.value)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ({"a": {"Cardiomegalie": {"size": [2, 2], "counts": "04"}}}, "no CheXpert label; did you mean 'Cardiomegaly'"),
        ({"a": {"Edema": {"size": [2, 2]}}}, "the mask of 'Edema' in entry 1 was expected as"),
    ],
)
def test_wrong_masks_are_refused(tmp_path: Path, read: Read, masks: dict[str, object], message: str) -> None:
    root = miniatures.chexpert(tmp_path)
    (root / MASKS).write_text(json.dumps(masks))
    with pytest.raises(UserError, match=message):
        read("chexpert", root)


def test_the_real_training_table(published_tables: Path) -> None:
    table = chexpert.read_labels(published_tables / "chexpert_train.csv.gz", evaluation=False)
    assert len(table) == 223_414
    assert table["patient_id"].nunique() == 64_540
    assert (table["view"] == "frontal").sum() == 191_027
    assert table["Pleural Effusion"].value_counts().to_dict() == {1: 86_187, 0: 35_396, -1: 11_628}
    assert table["Pleural Effusion"].isna().sum() == 90_203
    assert table["image_id"].is_unique
    with pytest.raises(UserError, match="row 3: column 'No Finding' holds '', expected one of 0"):
        chexpert.read_labels(published_tables / "chexpert_train.csv.gz", evaluation=True)

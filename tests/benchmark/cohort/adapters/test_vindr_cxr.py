"""VinDr-CXR: both label sets, the boxes, and the real training boxes of three readers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark.cohort.adapters import vindr_cxr
from benchmark.common.errors import UserError
from benchmark.pipeline.settings import DatasetSettings
from tests.benchmark.cohort import miniatures
from tests.benchmark.cohort.conftest import Read


def test_published_labels_score_16_findings_and_drop_images_with_none_of_the_17(tmp_path: Path, read: Read) -> None:
    release = read("vindr_cxr", miniatures.vindr_cxr(tmp_path), labels="published")
    assert len(release.findings) == 16
    assert list(release.index["image_id"]) == ["0a1b", "1c2d", "3a4b"]
    assert [(item.reason, item.names) for item in release.exclusions] == [
        ("none of the 17 published labels", ("2e3f",))
    ]
    assert list(release.regions["finding"]) == ["Cardiomegaly", "Pleural effusion"]


def test_all_labels_keep_every_image(tmp_path: Path, read: Read) -> None:
    release = read("vindr_cxr", miniatures.vindr_cxr(tmp_path), labels="all")
    assert len(release.findings) == 27
    assert len(release.index) == 4
    assert release.exclusions == ()
    assert release.index.set_index("image_id").loc["3a4b", ["label:ILD", "label:Lung tumor", "normal"]].tolist() == [
        1,
        1,
        0,
    ]
    assert list(release.regions["finding"]) == ["Cardiomegaly", "Pleural effusion", "Rib fracture", "ILD"]


def test_the_image_is_the_cluster(tmp_path: Path, read: Read) -> None:
    release = read("vindr_cxr", miniatures.vindr_cxr(tmp_path))
    assert release.cluster == "image"
    assert (release.index["patient_id"] == release.index["image_id"]).all()


def test_boxes_keep_their_corners(tmp_path: Path, read: Read) -> None:
    regions = read("vindr_cxr", miniatures.vindr_cxr(tmp_path)).regions
    assert regions.loc[0, ["x_min", "y_min", "x_max", "y_max"]].tolist() == [20.5, 40.0, 70.25, 90.0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "0a1b,Cardiomegaly",
            "0a1b,Cardiomegalia",
            "row 2: its class_name is none of .*did you mean 'Cardiomegaly'",
        ),
        (
            "20.5,40.0,70.25",
            "80.5,40.0,70.25",
            "row 2: the box of 'Cardiomegaly' is .80.5, 40.0, 70.25, 90.0., expected x_min",
        ),
        ("5,80,30,100.4", ",,,", "row 3: the box of 'Pleural effusion' is .blank, blank"),
        ("5,80,30,100.4", "5,eighty,30,100", "row 3: column 'y_min' holds a text of 6 characters, expected a number"),
        ("2e3f,Rib", "9z9z,Rib", "row 5: its image has a box but no row in image_labels_test.csv"),
        ("x_min,", "xmin,", "expected a column 'x_min', found .*did you mean 'xmin'"),
    ],
)
def test_wrong_boxes_are_refused(tmp_path: Path, read: Read, old: str, new: str, message: str) -> None:
    root = miniatures.vindr_cxr(tmp_path)
    path = root / "annotations/annotations_test.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=message) as error:
        read("vindr_cxr", root)
    assert "annotations_test.csv" in str(error.value)


def test_three_readers_vote(tmp_path: Path) -> None:
    root = miniatures.vindr_cxr(tmp_path)
    names = miniatures.VINDR_LABELS.split(",")

    def row(reader: str, *positive: str) -> str:
        return f"0a1b,{reader}," + ",".join(str(int(name in positive)) for name in names)

    miniatures.text(
        root / "annotations/image_labels_train.csv",
        miniatures.lines(
            f"image_id,rad_id,{miniatures.VINDR_LABELS}",
            row("R1", "Cardiomegaly", "ILD"),
            row("R2", "Cardiomegaly"),
            row("R3", "Edema"),
        ),
    )
    miniatures.text(
        root / "annotations/annotations_train.csv",
        miniatures.lines(
            "image_id,rad_id,class_name,x_min,y_min,x_max,y_max",
            "0a1b,R1,Cardiomegaly,1,2,3,4",
            "0a1b,R2,Cardiomegaly,1,2,4,5",
        ),
    )
    release = vindr_cxr.read_split(root, "train", DatasetSettings(labels="all"))
    assert release.index.filter(like="label:").T[0].loc[lambda votes: votes == 1].index.tolist() == [
        "label:Cardiomegaly"
    ]
    assert release.index["path"].tolist() == ["train/0a1b.dicom"]
    assert len(release.regions) == 2


def test_the_real_training_boxes(published_tables: Path) -> None:
    path = published_tables / "vinbigdata-train.csv.gz"
    rows = pd.read_csv(path)
    assert len(rows) == 67_914
    assert rows["image_id"].nunique() == 15_000
    boxes = vindr_cxr.read_boxes(path)
    assert len(boxes) == 36_096  # 67,914 less the 31,818 rows of "No finding"
    assert boxes["image_id"].nunique() == 4_394
    assert boxes["finding"].value_counts()[["Aortic enlargement", "Pneumothorax"]].tolist() == [7_162, 226]
    assert (boxes["x_min"] < boxes["x_max"]).all()
    readers = rows.groupby("image_id")["rad_id"].nunique()
    assert (readers == 3).all()

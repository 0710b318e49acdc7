"""PadChest: label lists in every shape, the published vocabulary, zones and boxes, and the real 160,861-row table."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from benchmark.cohort.adapters import padchest
from benchmark.common.errors import UserError
from tests.benchmark.cohort import miniatures
from tests.benchmark.cohort.conftest import Read


def rewrite(root: Path, old: str, new: str) -> Path:
    path = root / miniatures.PADCHEST
    content = gzip.decompress(path.read_bytes()).decode()
    assert old in content
    path.write_bytes(gzip.compress(content.replace(old, new).encode()))
    return root


def test_all_labels_keep_frontal_images_of_physicians_and_real_findings(tmp_path: Path, read: Read) -> None:
    release = read("padchest", miniatures.padchest(tmp_path), labels="all")
    assert list(release.index["path"]) == ["0/100_a.png", "13/200_b.png", "54/400_e.png"]
    assert list(release.index["view"]) == ["PA", "AP", "PA"]
    assert release.findings == ("cardiomegaly", "nodule", "pleural effusion")
    assert list(release.index["normal"]) == [1, 0, 0]
    assert {item.reason: item.names for item in release.exclusions} == {
        "labelled by the network, not by a physician": ("500_f.png",),
        "not a frontal view (PA, AP, AP_horizontal)": ("200_c.png",),
        "labelled exclude": ("300_d.png",),
    }


def test_published_labels_keep_every_image_and_every_label(tmp_path: Path, read: Read) -> None:
    release = read("padchest", miniatures.padchest(tmp_path), labels="published")
    assert len(release.index) == 5
    assert release.findings == (
        "cardiomegaly",
        "exclude",
        "nodule",
        "pleural effusion",
        "suboptimal study",
        "unchanged",
    )


def test_lists_of_lists_and_stray_spaces_are_read(tmp_path: Path, read: Read) -> None:
    index = read("padchest", miniatures.padchest(tmp_path)).index.set_index("image_id")
    assert index.loc["200_b.png"].filter(like="label:").to_dict() == {
        "label:cardiomegaly": 1,
        "label:nodule": 0,
        "label:pleural effusion": 1,
    }


def test_zones_come_from_the_sentence_that_names_the_finding(tmp_path: Path, read: Read) -> None:
    release = read("padchest", miniatures.padchest(tmp_path))
    assert release.grounding_truth == "zone"
    assert release.regions[["image_id", "finding", "side", "zone"]].to_numpy().tolist() == [
        ["200_b.png", "pleural effusion", "right", "lower"],
        ["400_e.png", "nodule", "left", "upper"],
    ]


def test_localizations_serve_where_sentences_are_missing_and_one_finding_is_left(tmp_path: Path, read: Read) -> None:
    root = rewrite(
        miniatures.padchest(tmp_path), """[],"[['nodule', 'loc left upper lobe']]\"""", """['loc apical'],"""
    )
    assert read("padchest", root).regions[["finding", "side", "zone"]].to_numpy().tolist()[1] == ["nodule", "", "upper"]


def test_a_side_written_into_the_label_is_read(tmp_path: Path, read: Read) -> None:
    root = rewrite(
        miniatures.padchest(tmp_path),
        "[['pleural effusion', 'loc pleural'",
        "[['pleural effusion both sides', 'loc pleural'",
    )
    assert read("padchest", root).regions["side"].iloc[0] == "bilateral"


def test_grounded_reports_replace_zones(tmp_path: Path, read: Read) -> None:
    root = miniatures.padchest(tmp_path)
    grounded = [
        {
            "StudyID": "200",
            "ImageID": "200_b.png",
            "findings": [
                {
                    "sentence_en": "Right pleural effusion.",
                    "abnormal": True,
                    "boxes": [[0.1, 0.5, 0.4, 0.9]],
                    "extra_boxes": None,
                    "labels": ["Pleural effusion"],
                },
                {"sentence_en": "No nodules.", "abnormal": False, "boxes": [], "labels": ["normal"]},
            ],
        },
        {"StudyID": "500", "ImageID": "500_f.png", "findings": []},
    ]
    (root / "grounded_reports_20240819.json").write_text(json.dumps(grounded))
    release = read("padchest", root)
    assert release.grounding_truth == "box"
    row = release.regions.iloc[0]
    assert (row["finding"], row["kind"]) == ("pleural effusion", "fraction")
    assert row[["x_min", "y_min", "x_max", "y_max"]].tolist() == pytest.approx([0.1, 0.5, 0.4, 0.9])
    grounded[0]["findings"][0]["boxes"] = [[10, 50, 40, 90]]
    (root / "grounded_reports_20240819.json").write_text(json.dumps(grounded))
    with pytest.raises(UserError, match=r"entry 1 was expected .* each box fractions .*found \[10, 50, 40, 90\]"):
        read("padchest", root)


def test_extra_boxes_are_a_second_reader(tmp_path: Path, read: Read) -> None:
    root = miniatures.padchest(tmp_path)
    finding = {"labels": ["cardiomegaly"], "boxes": [[0.1, 0.5, 0.4, 0.9]], "extra_boxes": [[0.2, 0.5, 0.5, 0.9]]}
    text = json.dumps([{"ImageID": "200_b.png", "findings": [finding]}])
    (root / "grounded_reports_20240819.json").write_text(text)
    first, union = read("padchest", root), read("padchest", root, extra_boxes="union")
    assert first.regions["x_min"].tolist() == pytest.approx([0.1])
    assert union.regions["x_min"].tolist() == pytest.approx([0.1, 0.2])
    assert "PadChest-GR: boxes of the first reader (`extra_boxes: first`)." in first.notes
    assert "PadChest-GR: boxes of both readers (`extra_boxes: union`)." in union.notes


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "Physician,\"['normal']\"",
            "Physician,\"['normall']\"",
            "row 2: one of its Labels is none of the 193 .*did you mean 'normal'",
        ),
        (
            "Physician,\"['normal']\"",
            'Physician,"normal"',
            r"row 2: Labels holds a text of 6 characters, expected a list such as \['normal'\]",
        ),
        ("200_c.png", "200_b.png", "row 4 repeats the ImageID of row 3"),
        ("MethodLabel", "Method", "expected a column 'MethodLabel', found"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, read: Read, old: str, new: str, message: str) -> None:
    root = rewrite(miniatures.padchest(tmp_path), old, new)
    with pytest.raises(UserError, match=message) as error:
        read("padchest", root)
    assert miniatures.PADCHEST in str(error.value)


def test_a_row_without_labels_is_left_out(tmp_path: Path, read: Read) -> None:
    root = rewrite(miniatures.padchest(tmp_path), "Physician,\"['normal']\"", 'Physician,"nan"')
    release = read("padchest", root)
    assert ("no label", ("100_a.png",)) in [(item.reason, item.names) for item in release.exclusions]


def test_a_table_cut_short_is_refused(tmp_path: Path, read: Read) -> None:
    path = miniatures.padchest(tmp_path) / miniatures.PADCHEST
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"cannot be read as CSV .*; download it again"):
        read("padchest", tmp_path)


def test_the_vocabulary_is_the_published_one() -> None:
    names = padchest.vocabulary()
    assert len(names) == len(set(names)) == 193
    assert names[-1] == "normal"
    assert list(names[:-1]) == sorted(names[:-1])


def test_the_real_table(published_tables: Path, read: Read) -> None:
    published = read("padchest", published_tables, labels="published")
    assert published.version == "PadChest 01.02.19, 160861 rows"
    index = published.index
    assert (len(index), index["study_id"].nunique(), index["patient_id"].nunique()) == (39_053, 26_413, 24_491)
    assert len(published.findings) == 192
    assert published.findings == padchest.vocabulary()[:-1]
    assert (index["normal"] == 1).sum() == 12_694
    assert index["label:COPD signs"].sum() == 4_823
    assert index["label:pleural effusion"].sum() == 1_748
    assert [(item.reason, len(item.names)) for item in published.exclusions] == [
        ("labelled by the network, not by a physician", 121_808)
    ]
    frontal = read("padchest", published_tables, labels="all")
    assert len(frontal.findings) == 189
    assert len(frontal.index) == 39_053 - 12_621 - 59  # lateral and costal views, then images labelled `exclude`
    assert frontal.regions["image_id"].isin(frontal.index["image_id"]).all()
    located = frontal.regions[frontal.regions["finding"] == "laminar atelectasis"]
    assert set(located["zone"]) == {"", "upper", "middle", "lower"}

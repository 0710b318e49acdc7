"""Open-I: substring labels as published, whole tags beside them, zones from qualifiers, the 3,955 real reports."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from benchmark.cohort.adapters import open_i
from benchmark.common.errors import UserError
from benchmark.materials import contents, open_i_report, wheels
from benchmark.pipeline import layout
from tests.benchmark.cohort import miniatures
from tests.benchmark.cohort.conftest import Read
from tests.repository import REPOSITORY


def test_frontal_images_where_a_view_table_is_given(tmp_path: Path, read: Read) -> None:
    release = read("open_i", miniatures.open_i(tmp_path))
    assert list(release.index["image_id"]) == ["CXR1000_IM-0003-1001", "CXR1_1_IM-0001-3001"]
    assert list(release.index["view"]) == ["AP", "PA"]
    assert {item.reason: item.names for item in release.exclusions} == {
        "report without an image": ("CXR7",),
        "not a frontal view": ("CXR1_1_IM-0001-4001",),
        "view not stated in nlmcxr_dicom_metadata.csv.gz": ("CXR22_IM-0022-1001",),
    }
    by = "Frontal images alone (`views: frontal`), by nlmcxr_dicom_metadata.csv.gz: 0 conflicts between them."
    assert release.notes[0] == by


def test_all_images_where_they_are_asked_for_and_it_says_so(tmp_path: Path, read: Read) -> None:
    release = read("open_i", miniatures.open_i(tmp_path), views="all")
    assert len(release.index) == 4
    assert set(release.index["view"]) == {"unknown"}
    assert release.notes[0] == ("Every image, lateral ones included (`views: all`), as the published protocol has it.")


def test_tables_that_disagree_are_resolved_by_the_rule(tmp_path: Path, read: Read) -> None:
    """CXR1: the header calls both of its images frontal, the pixels one lateral; CXR4 of the real list: both PA."""
    root = miniatures.open_i(tmp_path)
    header = "imageid,View Position\nCXR1_1_IM-0001-3001,PA\nCXR1_1_IM-0001-4001,PA\nCXR1000_IM-0003-1001,LL\n"
    miniatures.text(root / "nlmcxr_dicom_metadata.csv.gz", header)
    pixels = "imageid,tsne-view\nCXR22_IM-0022-1001,PA\nCXR1_1_IM-0001-3001,PA\nCXR1000_IM-0003-1001,PA\n"
    miniatures.text(root / "nlmcxr_tsne_pa.csv.gz", pixels)
    release = read("open_i", root)
    assert list(release.index["image_id"]) == ["CXR1000_IM-0003-1001", "CXR1_1_IM-0001-3001", "CXR22_IM-0022-1001"]
    assert ("another frontal image of its study is more certain", ("CXR1_1_IM-0001-4001",)) in [
        (item.reason, item.names) for item in release.exclusions
    ]
    assert "by nlmcxr_tsne_pa.csv.gz and nlmcxr_dicom_metadata.csv.gz: 1 conflicts" in release.notes[0]
    # The list of all images is trusted most.
    rows = ["uid,filename,projection", "1000,1000_IM-0003-1001.dcm.png,Lateral"]
    miniatures.text(root / "indiana_projections.csv", miniatures.lines(*rows))
    assert "CXR1000_IM-0003-1001" not in set(read("open_i", root).index["image_id"])


def test_one_table_alone_cannot_choose_among_a_studys_frontal_images(tmp_path: Path, read: Read) -> None:
    root = miniatures.open_i(tmp_path)
    rows = "imageid,View Position\nCXR1_1_IM-0001-3001,PA\nCXR1_1_IM-0001-4001,AP\n"
    miniatures.text(root / "nlmcxr_dicom_metadata.csv.gz", rows)
    assert len(read("open_i", root).index) == 2


def test_the_projection_table_is_understood_too(tmp_path: Path, read: Read) -> None:
    root = miniatures.open_i(tmp_path, view_table=False)
    rows = [
        "1,1_1_IM-0001-3001.dcm.png,Frontal",
        "1,1_1_IM-0001-4001.dcm.png,Lateral",
        "22,22_IM-0022-1001.dcm.png,Frontal",
    ]
    miniatures.text(root / "indiana_projections.csv", miniatures.lines("uid,filename,projection", *rows))
    assert list(read("open_i", root).index["image_id"]) == ["CXR1_1_IM-0001-3001", "CXR22_IM-0022-1001"]


def test_published_labels_match_substrings_of_automatic_tags(tmp_path: Path, read: Read) -> None:
    release = read("open_i", miniatures.open_i(tmp_path, view_table=False), labels="published", views="all")
    index = release.index.set_index("study_id")
    assert len(release.findings) == 18
    positive = {name for name in release.findings if index.loc["CXR1000", f"label:{name}"] == 1}
    assert positive == {"Lung Opacity", "Atelectasis", "Pleural Thickening"}
    # The published rule takes a pericardial effusion for an effusion; whole tags do not.
    assert index.loc["CXR22", "label:Pleural Effusion"] == 1
    assert index["normal"].to_dict() == {"CXR1": 1, "CXR1000": 0, "CXR22": 0}


def test_exact_labels_match_whole_tags(tmp_path: Path, read: Read) -> None:
    release = read("open_i", miniatures.open_i(tmp_path, view_table=False), labels="exact", views="all")
    index = release.index.drop_duplicates("study_id").set_index("study_id")
    assert index.loc["CXR22"].filter(like="label:").sum() == 0
    assert index["normal"].to_dict() == {"CXR1": 1, "CXR1000": 0, "CXR22": 0}


def test_zones_come_from_the_qualifiers_of_positive_findings(tmp_path: Path, read: Read) -> None:
    regions = read("open_i", miniatures.open_i(tmp_path)).regions
    assert regions[["finding", "side", "zone"]].to_numpy().tolist() == [
        ["Atelectasis", "right", "upper"],
        ["Lung Opacity", "right", "upper"],
        ["Pleural Thickening", "left", "upper"],
    ]


def test_report_is_findings_then_impression(tmp_path: Path, read: Read) -> None:
    index = read("open_i", miniatures.open_i(tmp_path)).index.set_index("study_id")
    assert index.loc["CXR1", "report"] == "Clear lungs. Normal chest."
    assert index.loc["CXR1000", "report"] == "Increased opacity in the right upper lobe."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<eCitation><uId", r"1\.xml is not valid XML .*; unpack NLMCXR_reports\.tgz again"),
        ('<eCitation><uId id=" "/></eCitation>', r"1\.xml: expected an element <uId id=...>, found none"),
        ("<eCitation/>", r"1\.xml: expected an element <uId id=...>, found none"),
    ],
)
def test_a_broken_report_is_refused(tmp_path: Path, read: Read, content: str, message: str) -> None:
    root = miniatures.open_i(tmp_path)
    (root / "ecgen-radiology/1.xml").write_text(content)
    with pytest.raises(UserError, match=message):
        read("open_i", root)


def test_the_same_image_in_two_reports_is_refused(tmp_path: Path, read: Read) -> None:
    root = miniatures.open_i(tmp_path)
    shutil.copy(root / "ecgen-radiology/1.xml", root / "ecgen-radiology/2.xml")
    with pytest.raises(UserError, match="image 'CXR1_1_IM-0001-3001' appears in the reports CXR1 and CXR1 "):
        read("open_i", root)


def test_two_reports_of_one_identifier_are_refused(tmp_path: Path, read: Read) -> None:
    root = miniatures.open_i(tmp_path)
    text = (root / "ecgen-radiology/1.xml").read_text()
    other = text.replace("CXR1_1_IM-0001-3001", "CXR8_IM-1").replace("CXR1_1_IM-0001-4001", "CXR8_IM-2")
    (root / "ecgen-radiology/8.xml").write_text(other)
    with pytest.raises(UserError, match="2 reports bear the uId 'CXR1'"):
        read("open_i", root)


@pytest.fixture(scope="module")
def real_root(published_tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("open_i")
    shutil.copy(published_tables / "NLMCXR_reports.tgz", root)
    return root


def test_the_real_reports(real_root: Path, read: Read) -> None:
    studies = list(open_i_report.read_reports(real_root / "NLMCXR_reports.tgz"))
    assert len(studies) == 3_955
    assert sum(bool(study.text) for study in studies) == 3_927
    assert sum(len(study.image_ids) for study in studies) == 7_470
    assert sum(open_i.normal(study, published=False) for study in studies) == 1_391
    assert sum(study.automatic.count("Cardiomegaly") for study in studies) == 282
    release = read("open_i", real_root, labels="published", views="all")
    assert (len(release.index), release.index["patient_id"].nunique()) == (7_470, 3_851)
    assert [(item.reason, len(item.names)) for item in release.exclusions] == [("report without an image", 104)]
    assert release.index["path"].str.fullmatch(r"NLMCXR_png/CXR\d+(_\d+)?_IM-\d+(-\d+)*\.png").mean() > 0.99


def test_the_real_view_tables(published_tables: Path, read: Read) -> None:
    release = read("open_i", published_tables, labels="published")
    assert set(release.index["view"]) == {"PA", "AP"}
    assert release.index["study_id"].is_unique
    assert len(release.index) + sum(len(item.names) for item in release.exclusions[1:]) == 7_470
    assert "CXR4_IM-2050-1001" in set(release.index["image_id"])
    assert "CXR4_IM-2050-2001" not in set(release.index["image_id"])  # a lateral that its header calls PA


def test_a_root_without_a_table_uses_the_public_one(
    published_tables: Path, real_root: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_the_wheel() -> list[tuple[str, pd.DataFrame]]:
        folder = Path(os.environ.get(wheels.HAND_PLACED, REPOSITORY / layout.MATERIALS))
        return open_i_view_tables(folder)

    open_i_view_tables = contents.open_i_view_tables
    monkeypatch.setattr(contents, "open_i_view_tables", of_the_wheel)
    pd.testing.assert_frame_equal(read("open_i", real_root).index, read("open_i", published_tables).index)

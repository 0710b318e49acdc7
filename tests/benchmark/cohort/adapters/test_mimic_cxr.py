"""MIMIC-CXR: who trains, which image of a study, which part of a report."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pandas as pd
import pytest

from benchmark.cohort.adapters import mimic_cxr
from benchmark.common.errors import UserError
from tests.benchmark.cohort import miniatures
from tests.benchmark.cohort.conftest import Read


def rewrite(path: Path, old: str, new: str) -> None:
    content = gzip.decompress(path.read_bytes()).decode()
    assert old in content
    path.write_bytes(gzip.compress(content.replace(old, new).encode()))


def test_folders_p10_to_p16_train_and_one_frontal_image_a_study(tmp_path: Path, read: Read) -> None:
    release = read("mimic_cxr", miniatures.mimic_cxr(tmp_path))
    index = release.index
    assert list(index["study_id"]) == ["50414267", "53189527", "51029426", "55555555"]
    assert list(index["split"]) == ["train", "train", "validate", "train"]
    assert set(index["view"]) <= {"PA", "AP"}
    assert not index["path"].str.contains("p17").any()
    assert {item.reason: len(item.names) for item in release.exclusions} == {
        "folder p17-p19: not used for training": 1,
        "official test split": 1,
        "not a frontal view (PA, AP)": 1,
        "another frontal image of the study was selected": 1,
        "report says nothing of the image": 1,
    }


def test_paths_are_those_of_the_release(tmp_path: Path, read: Read) -> None:
    root = miniatures.mimic_cxr(tmp_path)
    index = read("mimic_cxr", root).index
    assert index["path"].iloc[0] == "files/p10/p10000032/s50414267/aaaa-0001.jpg"
    assert all((root / path).is_file() for path in index["path"])


def test_labels_keep_uncertain_and_not_mentioned(tmp_path: Path, read: Read) -> None:
    index = read("mimic_cxr", miniatures.mimic_cxr(tmp_path)).index.set_index("study_id")
    assert index.loc["53189527", "label:Consolidation"] == -1
    assert index.loc["53189527", "label:Pleural Effusion"] == 0
    assert index.loc["53189527", "label:Pneumonia"] == 1
    assert index.loc["53189527", "label:Edema"] is pd.NA
    # No Finding = 1 is normal; blank beside a labelled study is abnormal; a study the labeler never saw is unknown.
    assert list(index["normal"].astype(object)) == [1, 0, 0, pd.NA]
    assert len(mimic_cxr.FINDINGS) == 13


def test_the_drawn_image_does_not_depend_on_the_order_of_the_table(tmp_path: Path, read: Read) -> None:
    first = read("mimic_cxr", miniatures.mimic_cxr(tmp_path)).index
    path = tmp_path / "mimic-cxr-2.0.0-metadata.csv.gz"
    header, *rows = gzip.decompress(path.read_bytes()).decode().splitlines()
    path.write_bytes(gzip.compress("\n".join([header, *reversed(rows)]).encode()))
    pd.testing.assert_frame_equal(first, read("mimic_cxr", tmp_path).index)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FINDINGS:  Clear.\n\nIMPRESSION:  Normal.", "Clear. Normal."),
        ("IMPRESSION:\n\n 1. Edema.\n 2. Effusion: small.", "1. Edema. 2. Effusion: small."),
        ("FINDINGS AND IMPRESSION:\n Clear.", "Clear."),
        ("IMPRESSIONS: Clear.", "Clear."),
        ("FINDINGS: Clear.\nRECOMMENDATION(S): CT.\nNOTIFICATION: by phone.", "Clear."),
        ("FINDINGS: Old.\nADDENDUM: ...\nFINDINGS: New.", "Old. New."),
        ("   FINAL REPORT\n HISTORY: Fever.\n\n IMPRESSION: Edema.", "Edema."),
        ("FINAL REPORT\n\n INDICATION: Cough.\n\n Lungs are clear.", "Lungs are clear."),
        ("FINAL REPORT\n COMPARISON: ___.\n Lungs are clear.\n No effusion.", "Lungs are clear. No effusion."),
        ("INDICATION: Cough.\n COMPARISON: Chest radiograph of ___. Lungs are clear.", "Lungs are clear."),
        ("INDICATION: Cough.\n COMPARISON: None.\n Heart is enlarged.", "Heart is enlarged."),
        ("INDICATION: Cough.\n COMPARISON: Multiple prior radiographs, most recently dated\n ___.", ""),
        ("COMPARISON: ___.\n IMPRESSION: Normal.", "Normal."),
        ("INDICATION: Findings of CT. IMPRESSION pending.", ""),
        ("", ""),
    ],
)
def test_sections(text: str, expected: str) -> None:
    assert mimic_cxr.dictated(text) == expected


def test_reports_may_lie_in_their_own_folder(tmp_path: Path, read: Read) -> None:
    root = miniatures.mimic_cxr(tmp_path)
    before = read("mimic_cxr", root).index
    for report in sorted((root / "files").glob("*/*/*.txt")):
        moved = root / "mimic-cxr-reports" / report.relative_to(root)
        moved.parent.mkdir(parents=True, exist_ok=True)
        report.rename(moved)
    pd.testing.assert_frame_equal(before, read("mimic_cxr", root).index)


def moved(root: Path, target: Path) -> None:
    """Reports out of the images' root, as the two projects of PhysioNet are downloaded."""
    for report in sorted((root / "files").glob("*/*/*.txt")):
        path = target / report.relative_to(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        report.rename(path)


@pytest.mark.parametrize("given", ["mimic-cxr", "mimic-cxr/files", "mimic-cxr.zip", "around/mimic-cxr-reports.zip"])
def test_reports_of_the_other_project_are_named_by_a_setting(tmp_path: Path, read: Read, given: str) -> None:
    root = miniatures.mimic_cxr(tmp_path / "mimic-cxr-jpg")
    before = read("mimic_cxr", root).index
    moved(root, tmp_path / "mimic-cxr")
    if given.endswith(".zip"):
        (tmp_path / given).parent.mkdir(exist_ok=True)
        shutil.make_archive(str((tmp_path / given).with_suffix("")), "zip", tmp_path, "mimic-cxr")
        shutil.rmtree(tmp_path / "mimic-cxr")
    held = sorted(path for path in tmp_path.rglob("*"))
    pd.testing.assert_frame_equal(before, read("mimic_cxr", root, reports=str(tmp_path / given)).index)
    assert sorted(path for path in tmp_path.rglob("*")) == held  # nothing is unpacked: roots may be read-only
    if given.startswith("around"):
        pd.testing.assert_frame_equal(before, read("mimic_cxr", root, reports=str(tmp_path / "around")).index)


def test_reports_that_are_not_where_they_are_said_to_be_are_refused(tmp_path: Path, read: Read) -> None:
    root = miniatures.mimic_cxr(tmp_path / "root")
    with pytest.raises(UserError, match=r"datasets\.mimic_cxr\.reports is nowhere, which does not exist; give"):
        read("mimic_cxr", root, reports="nowhere")
    (tmp_path / "cut.zip").write_bytes(b"PK\3\4 and no more")
    with pytest.raises(UserError, match=r"cut\.zip cannot be read as ZIP .*; download it again"):
        read("mimic_cxr", root, reports=str(tmp_path / "cut.zip"))


def test_a_missing_report_is_counted(tmp_path: Path, read: Read) -> None:
    root = miniatures.mimic_cxr(tmp_path)
    (root / "files/p16/p16000022/s55555555.txt").unlink()
    release = read("mimic_cxr", root)
    assert "55555555" not in set(release.index["study_id"])
    assert ("report file is missing or unreadable", ("55555555",)) in [
        (item.reason, item.names) for item in release.exclusions
    ]


def test_no_report_at_all_is_refused(tmp_path: Path, read: Read) -> None:
    root = miniatures.mimic_cxr(tmp_path)
    for report in (root / "files").glob("*/*/*.txt"):
        report.unlink()
    with pytest.raises(UserError, match=r"no report was found in .*, expected files/pNN/pNNNNNNNN/s.*let datasets"):
        read("mimic_cxr", root)


def test_a_patient_in_two_splits_is_refused(tmp_path: Path, read: Read) -> None:
    root = miniatures.mimic_cxr(tmp_path)
    rewrite(
        root / "mimic-cxr-2.0.0-split.csv.gz",
        "aaaa-0001,50414267,10000032,train",
        "aaaa-0001,50414267,10000032,validate",
    )
    with pytest.raises(UserError, match=r"row 4 \(train\) and row 2 \(validate\) are one patient; expected each"):
        read("mimic_cxr", root)


def test_an_unknown_split_is_refused(tmp_path: Path, read: Read) -> None:
    root = miniatures.mimic_cxr(tmp_path)
    rewrite(root / "mimic-cxr-2.0.0-split.csv.gz", "10000032,train\naaaa-0002", "10000032,training\naaaa-0002")
    with pytest.raises(
        UserError,
        match=r"split\.csv\.gz, row 2: column 'split' holds a text of 8 characters, expected train",
    ):
        read("mimic_cxr", root)

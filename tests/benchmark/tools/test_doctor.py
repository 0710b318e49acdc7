"""The doctor's words, golden: what is there, what is missing, what it will take."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
import yaml

from benchmark import cli
from benchmark.pipeline import layout, settings
from benchmark.tools import doctor, needs
from tests.benchmark.cohort import miniatures
from tests.repository import REPOSITORY

GOLDEN = Path(__file__).with_name("doctor.golden.txt")


def configure(folder: Path, roots: dict[str, str]) -> settings.Settings:
    """params.yaml of the repository with other roots."""
    values = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    for dataset, root in roots.items():
        values["datasets"][dataset] = {"root": root, "labels": "all", "subset": True}
    values["phantom"]["studies"] = dict.fromkeys(layout.DATASETS, 500)
    values["cohort"] = {"size": 80, "decode": "faithful", "max_missing": 0.01, "workers": 2}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    return settings.load(folder / "params.yaml")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_golden_output(here: Path) -> None:
    """A healthy root, one with a missing image, another dataset's root, a renamed column, and the phantom."""
    for dataset in ("mimic_cxr", "padchest", "chexpert"):
        miniatures.WRITERS[dataset](Path(dataset))
    Path("padchest/0/100_a.png").unlink()
    table = Path("chexpert/test_labels.csv")
    table.write_text(table.read_text().replace("Edema", "Oedema"))
    roots = {"mimic_cxr": "mimic_cxr", "vindr_cxr": "padchest", "chexpert": "chexpert", "padchest": "padchest"}
    values = configure(here, roots)
    ticks = itertools.count(step=0.5)
    diagnoses = [doctor.examine(dataset, values, clock=lambda: next(ticks)) for dataset in layout.DATASETS]
    assert doctor.render(diagnoses, values) + "\n" == GOLDEN.read_text()


def test_exit_status_tells(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for dataset, writer in miniatures.WRITERS.items():
        writer(Path(dataset))
    configure(here, {dataset: dataset for dataset in layout.DATASETS})
    assert cli.main(["doctor"]) == 0
    assert "5 of 5 datasets are ready" in capsys.readouterr().out
    for image in Path("vindr_cxr/test").iterdir():
        image.write_bytes(b"")
    assert cli.main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "vindr_cxr: NOT READY" in printed
    assert "too many images or reports are missing or unreadable" in printed


def test_a_half_finished_download_is_not_ready_and_names_nobody(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """MIMIC-CXR lacks some reports; of VinDr-CXR one image ends early; CheXpert has no root."""
    for dataset in ("mimic_cxr", "vindr_cxr"):
        miniatures.WRITERS[dataset](Path(dataset))
    reports = sorted(Path("mimic_cxr/files").rglob("s*.txt"))
    for report in reports[:2]:
        report.unlink()
    cut = Path("vindr_cxr/test/0a1b.dicom")
    cut.write_bytes(cut.read_bytes()[:-100])
    configure(here, {"mimic_cxr": "mimic_cxr", "vindr_cxr": "vindr_cxr", "chexpert": "nowhere"})
    assert cli.main(["doctor"]) == 1
    printed = capsys.readouterr().out
    blocks = {block.split(":")[0]: block for block in printed.split("\n\n")}
    assert "mimic_cxr: NOT READY" in printed
    assert "5 of 5 images looked up, 3 of 5 reports" in blocks["mimic_cxr"]
    assert "vindr_cxr: ready" in printed  # one file of four: prepare counts it against max_missing
    assert "1 of 4 images decoded" in blocks["vindr_cxr"]
    assert "the root nowhere is not a folder; set datasets.chexpert.root" in blocks["chexpert"]
    assert not {reports[0].stem, "0a1b", "10000032"} & set(re.split(r"\W+", printed))
    listed = Path("data/raw/.mimic_cxr.left_out.txt").read_text()
    assert listed.count("has no report") == 2


def test_the_phantom_needs_no_root(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    configure(here, {})
    assert cli.main(["doctor"]) == 0
    assert capsys.readouterr().out.count("phantom: rendered here") == 5


def test_the_disk_that_datasets_need_follows_from_what_was_found(here: Path) -> None:
    """Images, their findings; a dataset that is not ready counts nothing."""
    miniatures.padchest(here / "padchest")
    values = configure(here, {"padchest": "padchest", "chexpert": "nowhere"})
    diagnoses = [doctor.examine(dataset, values) for dataset in layout.DATASETS]
    found = {need.what: need for need in doctor.needed(diagnoses, values)}
    assert found["images"].size == (3 * 500 + 3) * 80**2
    assert found["phantom"].size == 3 * 500 * 2 * values.phantom.image_size**2
    runs, snapshots = len(values.runs()), 2
    columns = 2 * 500 * (doctor.PHANTOM_FINDINGS + needs.WORDINGS) + 3 * (3 + needs.WORDINGS)
    assert found["scores"].size == 4 * columns * runs * (1 + snapshots)


def test_a_root_below_the_home_folder_is_found_as_the_stage_finds_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(here))
    miniatures.padchest(here / "release")
    assert doctor.examine("padchest", configure(here, {"padchest": "~/release"})).ready

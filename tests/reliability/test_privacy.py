"""Credentialed data stays where it lies: canaries planted in it are found in no report, run, table or log."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from benchmark import cli
from benchmark.common import files
from benchmark.pipeline import layout, workspace
from benchmark.reporting import report
from benchmark.statistics import measure
from benchmark.tracking import track
from tests.benchmark import measured_run
from tests.benchmark.cohort import miniatures, stages
from tests.benchmark.training import workplace
from tests.reliability import privacy
from tests.reliability.conftest import Release, lay_out
from tests.reliability.life import Life
from tests.repository import REPOSITORY

OUTWARD = ("mlflow.db", "mlartifacts", "reports", "results", "tracked.json")
"""What a run leaves for others to see."""


def as_patients(root: Path, *, share_examples: bool) -> None:
    """Turn a measured synthetic run into one on credentialed releases with canaries in every private file."""
    params = yaml.safe_load((root / layout.PARAMS).read_text())
    names = {"image_id": privacy.IMAGE, "patient_id": privacy.PATIENT, "study_id": privacy.STUDY}
    for path in sorted(root.rglob("*.parquet")):
        table = pd.read_parquet(path)
        for column in set(names) & set(table):
            table[column] = names[column] + "-" + table[column].astype(str)
        if "report" in table:
            table["report"] = privacy.SENTENCE + "."
        if "text" in table:
            table["text"] = privacy.SENTENCE
        if "path" in table:
            table["path"] = f"files/p10/{privacy.PATIENT}/" + table["image_id"]
        files.write_parquet(path, table)
    for dataset in layout.DATASETS:
        params["datasets"][dataset] |= {"root": "/releases/" + dataset, "share_examples": share_examples}
        folder = root / layout.cohort(dataset)
        images = np.load(folder / "images.npy")
        np.save(folder / "images.npy", np.broadcast_to(privacy.canary_image(images.shape[1]), images.shape))
        left_out = {"reason": "image not on disk", "count": 1, "examples": []}
        if share_examples:
            left_out["examples"] = [f"{privacy.IMAGE}-lost"]
        card = files.read_json(folder / "card.json") | {"phantom": False, "credentialed": True}
        files.write_json(folder / "card.json", card | {"share_examples": share_examples, "exclusions": [left_out]})
    for path in sorted(root.glob("scores/*/examples.json")):
        shown = [e | {"image_id": f"{privacy.IMAGE}-{e['image_id']}"} for e in files.read_json(path)]
        files.write_json(path, shown)
    (root / layout.PARAMS).write_text(yaml.safe_dump(params, sort_keys=False))


@pytest.fixture(scope="module")
def measured(reported_once: Path, empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("private") / "measured"
    shutil.copytree(reported_once, root, ignore=shutil.ignore_patterns("reports"))
    shutil.copy(empty_store, root)
    return root


def published(measured: Path, root: Path, *, share_examples: bool) -> Path:
    """Measure, report and track a run on patients; what was said lies in ``log.txt``."""
    shutil.copytree(measured, root)
    as_patients(root, share_examples=share_examples)
    with measured_run.working_in(root), pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        measure.run()
        report.run()
        track.run()
    return root


def test_nothing_of_a_credentialed_release_reaches_reports_results_or_mlflow(
    measured: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = published(measured, tmp_path / "work", share_examples=False)
    said = capfd.readouterr()
    (tmp_path / "log.txt").write_text(said.out + said.err)
    assert "tables" in said.err  # the log that is searched is the stages' own
    assert privacy.found_in(root / "data", root / "scores"), "the canaries were not planted"
    assert privacy.found_in(*(root / name for name in OUTWARD), tmp_path / "log.txt") == []


def test_sharing_shows_images_and_says_so_on_the_first_page(measured: Path, tmp_path: Path) -> None:
    root = published(measured, tmp_path / "work", share_examples=True)
    leaks = privacy.found_in(root / "reports")
    for shown in ("comparison.pdf: image", "heatmaps.svg: image", "contact_sheet.svg: image"):
        assert any(leak.endswith(shown) for leak in leaks), shown
    assert any(leak.endswith(f"comparison.pdf: {privacy.IMAGE}") for leak in leaks)
    assert not any(privacy.SENTENCE in leak or privacy.PATIENT in leak for leak in leaks)
    for document in ("comparison", "ablation"):
        first = " ".join(privacy.PdfReader(root / f"reports/{document}.pdf").pages[0].extract_text().split())
        assert "WARNING: share_examples is set for MIMIC-CXR, VinDr-CXR, Open-I, CheXpert and PadChest" in first


def test_a_report_without_shared_data_carries_no_warning(measured: Path, tmp_path: Path) -> None:
    root = tmp_path / "work"
    shutil.copytree(measured, root)
    with measured_run.working_in(root):
        report.run()
    assert "WARNING" not in privacy.PdfReader(root / "reports/comparison.pdf").pages[0].extract_text()


def plant(release: Release, *, lost: bool) -> None:
    """Rename one study of the miniature to the canaries; with ``lost`` its image is not on disk."""
    for path in release.root.glob("*.csv.gz"):
        text = gzip.decompress(path.read_bytes()).decode()
        for name, canary in (("cccc-0001", privacy.IMAGE), ("16000022", "16" + privacy.PATIENT)):
            text = text.replace(name, canary)
        path.write_bytes(gzip.compress(text.replace("55555555", privacy.STUDY).encode()))
    patient = release.root / f"files/p16/p16{privacy.PATIENT}"
    miniatures.text(patient / f"s{privacy.STUDY}.txt", f" FINDINGS:  {privacy.SENTENCE}.\n")
    if not lost:
        miniatures.jpeg(patient / f"s{privacy.STUDY}/{privacy.IMAGE}.jpg", 60, 50)


@pytest.mark.parametrize("max_missing", [0.9, 0.0], ids=["left out", "refused"])
def test_preparing_a_release_names_nobody_in_log_or_card(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], max_missing: float
) -> None:
    release = lay_out("mimic_cxr", tmp_path / "work", max_missing=max_missing)
    plant(release, lost=True)
    with measured_run.working_in(release.work):
        assert stages.command("mimic_cxr") == (0 if max_missing else 2)
    said = capfd.readouterr().err
    (tmp_path / "log.txt").write_text(said)
    card = release.cohort / "card.json"
    assert privacy.found_in(tmp_path / "log.txt", *([card] if card.exists() else [])) == []
    listed = release.work / "data/raw/.mimic_cxr.left_out.txt"
    assert str(listed.relative_to(release.work)) in " ".join(said.split())
    assert privacy.IMAGE in listed.read_text()  # who must complete the download finds it there


def test_preparing_a_shared_release_names_what_was_left_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    release = lay_out("mimic_cxr", tmp_path / "work", share_examples=True)
    plant(release, lost=True)
    with measured_run.working_in(release.work):
        assert stages.command("mimic_cxr") == 0
    assert privacy.IMAGE in capfd.readouterr().err
    assert privacy.IMAGE in (release.cohort / "card.json").read_text()


def test_the_cohort_itself_holds_the_reports(tmp_path: Path) -> None:
    release = lay_out("mimic_cxr", tmp_path / "work")
    plant(release, lost=False)
    with measured_run.working_in(release.work):
        assert stages.command("mimic_cxr") == 0
    assert any(privacy.SENTENCE in leak for leak in privacy.found_in(release.cohort))


NAMES = miniatures.MIMIC_LABELS.split(",")


def hospital(root: Path, patients: int = 48) -> None:
    """MIMIC-CXR-JPG's layout with reports to learn from; one patient's many reports and images are the canaries."""
    rows = []
    for n in range(patients):
        canary = n == 5
        subject = f"16{privacy.PATIENT}" if canary else f"1{n % 7}{n:06d}"
        for k in range(8 if canary else 1):
            study = f"{privacy.STUDY}{k}" if canary else f"5{n:07d}"
            name = f"{privacy.IMAGE}-{k}" if canary else f"{n:08x}-0001"
            label = "Pleural Effusion" if n % 2 else "No Finding"
            rows.append((name, subject, study, "validate" if n % 6 == 0 else "train", label))
            folder = root / f"files/p{subject[:2]}/p{subject}"
            finding = (
                "There is a small left pleural effusion." if n % 2 else "The lungs are clear. No pleural effusion."
            )
            said = f"{privacy.SENTENCE}. " if canary else ""
            miniatures.text(folder / f"s{study}.txt", f" FINDINGS:  {said}{finding}\n")
            if canary:
                (folder / f"s{study}").mkdir(parents=True)
                Image.fromarray(privacy.canary_image(60)).save(folder / f"s{study}/{name}.jpg")
            else:
                miniatures.jpeg(folder / f"s{study}/{name}.jpg", 60, 50, (n % 5) / 5)
    tables = {
        "metadata": ["dicom_id,subject_id,study_id,ViewPosition", *(f"{d},{p},{s},PA" for d, p, s, _, _ in rows)],
        "split": ["dicom_id,study_id,subject_id,split", *(f"{d},{s},{p},{split}" for d, p, s, split, _ in rows)],
        "chexpert": [
            f"subject_id,study_id,{miniatures.MIMIC_LABELS}",
            *(f"{p},{s}," + ",".join("1.0" if name == label else "" for name in NAMES) for _, p, s, _, label in rows),
        ],
    }
    for name, lines in tables.items():
        miniatures.text(root / f"mimic-cxr-2.0.0-{name}.csv.gz", miniatures.lines(*lines))


MATERIALS = workplace.REPOSITORY / layout.MATERIALS
needs_materials = pytest.mark.skipif(
    not (MATERIALS / "materials.json").exists(),
    reason="the public material is not there: python -m benchmark materials",
)


@needs_materials
def test_training_on_credentialed_reports_leaves_no_word_of_a_patient(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    hospital(tmp_path / "release")
    (work / layout.MATERIALS).parent.mkdir(parents=True)
    (work / layout.MATERIALS).symlink_to(MATERIALS)
    values = workplace.params(pretraining={"samples": 64, "min_count": 2}, cohort={"size": 32, "workers": 1})
    values["encoders"]["image"]["init"] = str(layout.PRETRAINED)
    values["datasets"]["mimic_cxr"] |= {"root": str(tmp_path / "release"), "subset": True}
    (work / layout.PARAMS).write_text(yaml.safe_dump(values))
    run = ["train", "--system", "carzero", "--seed", "0"]
    with measured_run.working_in(work):
        prepared = [[name, "mimic_cxr"] for name in ("raw", *stages.CHAIN)]
        for command in (*prepared, ["captions"], ["pretrain", "--seed", "0"], ["plan"], run):
            assert cli.main(command) == 0, (command, capfd.readouterr().err)
    said = capfd.readouterr()
    (tmp_path / "log.txt").write_text(said.out + said.err)
    planted = privacy.found_in(work / layout.cohort("mimic_cxr"), work / layout.CAPTIONS / "sentences.parquet")
    assert len(planted) > 5
    learnt = [work / layout.CAPTIONS / "vocabulary.json", work / layout.CAPTIONS / "quality.json"]
    assert "effusion" in files.read_json(learnt[0])
    outward = [work / "plan", work / "runs", work / layout.PRETRAINED, work / layout.raw("mimic_cxr"), *learnt]
    assert privacy.found_in(*outward, tmp_path / "log.txt") == []


@pytest.mark.chaos
@needs_materials
def test_dvc_writes_nothing_of_a_release_into_what_git_keeps_or_the_terminal_shows(tmp_path: Path) -> None:
    hospital(tmp_path / "release")
    work = tmp_path / "work"
    workspace.create(work, "smoke", workplace.REPOSITORY)
    params = yaml.safe_load((work / layout.PARAMS).read_text())
    params["datasets"]["mimic_cxr"] |= {"root": str(tmp_path / "release"), "subset": True}
    (work / layout.PARAMS).write_text(yaml.safe_dump(params))
    life = Life(work, "released", "captions")
    life.finish()
    kept = [path for path in work.iterdir() if path.name not in ("data", ".dvc")]
    assert work / "dvc.lock" in kept
    assert privacy.found_in(*kept, life.log) == []
    assert privacy.found_in(work / ".dvc" / "tmp") == []


def test_what_holds_patients_data_is_never_tracked_by_git() -> None:
    ignored = (REPOSITORY / ".gitignore").read_text().split()
    assert {"/data/", "/runs/", "/scores/", "/probe/", "/results/", "/mlartifacts/", "/reports/*.pdf"} <= set(ignored)

"""Released models from their files to the PDF: two small ones in every run, all nine at full size in `make chaos`."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pandas as pd
import pytest
import yaml
from pypdf import PdfReader

from baselines import releases
from benchmark import cli
from benchmark.common import files
from benchmark.evaluation import probe, score
from benchmark.pipeline import layout, profiles, workspace
from benchmark.planning import plan
from benchmark.reporting import report
from benchmark.statistics import measure
from benchmark.training import train
from tests import parity
from tests.baselines import release_files
from tests.benchmark.evaluation import workspace as small
from tests.repository import REPOSITORY
from tests.test_pipeline import repro

PROFILE = yaml.safe_load((REPOSITORY / "profiles" / "released.yaml").read_text())
COMPARED = ("chexzero", "biomedclip", "gloria_released")
"""Two that are there, and one whose files are not."""


def page(folder: Path, number: int = 0) -> str:
    """A page of the comparison, with single spaces."""
    return re.sub(r"\s+", " ", PdfReader(folder / layout.REPORTS / "comparison.pdf").pages[number].extract_text())


def complete(card: dict[str, Any], index: pd.DataFrame) -> dict[str, Any]:
    """What a report reads of a data card, beside what scoring reads."""
    counts = {"images": len(index), "studies": len(index), "patients": index["patient_id"].nunique()}
    counts |= {"normal": int((index["normal"] == 1).sum()), "abnormal": int((index["normal"] == 0).sum())}
    prevalence = {finding: int((index[f"label:{finding}"] == 1).sum()) for finding in card["findings"]}
    return card | {
        "credentialed": False, "share_examples": False, "release": "phantom", "counts": counts,
        "prevalence": prevalence, "views": {"PA": len(index)}, "labels": "all", "grounding_truth": "box",
        "cluster": "patient", "exclusions": [], "decode": "faithful", "size": small.SIZE,
    }  # fmt: skip


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plan, train, score, probe, measure and report with what lies in weights/."""
    root = tmp_path_factory.mktemp("released")
    small.write(root)
    values = yaml.safe_load((root / layout.PARAMS).read_text())
    values["systems"] |= {name: PROFILE["systems"][name] for name in COMPARED}
    values |= {"compare": list(COMPARED), "scratch": [], "ablation": [], "seeds": [0]}
    values["cohort"] |= {"size": small.SIZE}
    values["statistics"] |= {"replicates": 60, "min_positives": 2}
    values["probe"] |= {"samples": 64}
    values["training"] |= {"batch_size": 8, "threads": 1, "precision": "float32"}
    (root / layout.PARAMS).write_text(yaml.safe_dump(values, sort_keys=False))
    for dataset in layout.DATASETS:
        folder = root / layout.cohort(dataset)
        card = files.read_json(folder / "card.json")
        files.write_json(folder / "card.json", complete(card, pd.read_parquet(folder / "index.parquet")))
    files.write_json(root / layout.CAPTIONS / "vocabulary.json", small.VOCABULARY)
    shutil.rmtree(root / "runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        for release in COMPARED[:2]:
            release_files.write(release, releases.FOLDER, small=True)
        plan.run(cli.stage_modules())
        for name in COMPARED:
            train.run(name, 0)
            score.run(name, 0)
        probe.run()
        measure.run()
        report.run()
    return root


def test_the_first_page_ranks_the_models_that_are_there(compared: Path) -> None:
    said = page(compared)
    assert "Which model detects normal radiographs best?" in said
    assert "Nothing was trained here: there is no budget and no training seed" in said
    assert "under one budget" not in said
    assert re.search(r"1 (CheXzero \(chosen in part\)|BiomedCLIP \(seen\?\)) 0\.\d{3} \[", said)
    assert "Every model was asked in the common words" in said


def test_the_model_without_its_files_is_left_out_with_a_line(compared: Path) -> None:
    missing = "weights/chexpert_resnet50.ckpt and weights/Bio_ClinicalBERT/vocab.txt are not there"
    # Typst may break a line within a path.
    assert f"Left out: GLoRIA ({missing}).".replace(" ", "") in page(compared).replace(" ", "")
    assert files.read_json(compared / "scores/gloria_released-0/absent.json") == [
        "weights/chexpert_resnet50.ckpt",
        "weights/Bio_ClinicalBERT/vocab.txt",
    ]
    assert set(pd.read_csv(compared / "results/auc.csv")["system"]) == set(COMPARED[:2])


def test_the_pair_is_tested_once_and_its_p_is_that_of_a_family_of_one(compared: Path) -> None:
    (row,) = pd.read_csv(compared / "results/ranking.csv").to_dict("records")
    (same,) = (
        pd.read_csv(compared / "results/differences.csv")
        .query("dataset == 'overall' and quantity == 'normal_auc' and score == 'prompt'")
        .to_dict("records")
    )
    assert (row["a"], row["b"], row["pairs"]) == ("chexzero", "biomedclip", 1)
    assert row["level"] == 0.95
    for key in ("estimate", "low", "high", "p"):
        assert row[key] == same[key]
    assert row["p_holm"] == row["p"]


def test_what_a_model_has_seen_stands_in_its_tables(compared: Path) -> None:
    tables = compared / "reports" / "tables"
    main = (tables / "main.md").read_text()
    assert "| CheXzero (chosen on it) |" in main
    assert main.count("BiomedCLIP (seen?)") == 4
    rows = pd.read_csv(tables / "main.csv", dtype={"seen": object}, keep_default_na=False)
    seen = rows.set_index(["dataset", "system"])["seen"]
    assert set(seen["chexpert", "chexzero"]) == {"chexzero: chosen"}
    assert set(seen["open_i", "chexzero"]) == {""}


def test_files_that_arrive_later_are_compared_without_another_setting(compared: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(compared)
    before = files.read_json(layout.plan("gloria_released"))
    for name in before["absent"]:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("here")
    plan.run(cli.stage_modules())
    after = files.read_json(layout.plan("gloria_released"))
    assert "absent" not in after
    assert set(after["outside"]) > set(before["outside"])
    for name in before["absent"]:
        Path(name).unlink()


@pytest.mark.chaos
def test_all_nine_at_full_size_go_through_dvc_to_the_pdf(tmp_path: Path) -> None:
    """The profile on the phantom, files of pseudo-random values in every released structure (15 GB of disk)."""
    if not (parity.FOLDER.is_dir() and parity.RELEASED.is_dir()):
        pytest.skip(parity.ABSENT)
    folder = tmp_path / "workspace"
    workspace.create(folder, "released", REPOSITORY)
    fewer = {
        "phantom": {"image_size": 96, "studies": dict.fromkeys(layout.DATASETS, 12) | {"mimic_cxr": 160}},
        "captions": {"min_patients": 2},
        "pretraining": {"samples": 16, "min_count": 2},
        "training": {"batch_size": 8, "precision": "float32"},
        "probe": {"samples": 16},
        "scoring": {"batch_size": 4},
        "statistics": {"replicates": 60, "min_positives": 2},
    }
    profiles.apply(fewer, folder / layout.PARAMS)
    for release in releases.read():
        release_files.write(release, folder / releases.FOLDER)
    repro(folder)
    said = page(folder)
    assert "Left out" not in said
    ranked = pd.read_csv(folder / "reports/tables/ranking.csv")
    assert sorted(ranked["system"]) == sorted(PROFILE["compare"])
    assert len(pd.read_csv(folder / "results/ranking.csv")) == 36
    grounding = (folder / "reports/tables/grounding.md").read_text()
    assert "| MedCLIP | – | no heatmap published |" in grounding

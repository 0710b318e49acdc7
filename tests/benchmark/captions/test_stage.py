"""The stage on a small training cohort: real files in, real files out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmark.artifacts import captions
from benchmark.captions import stage
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.materials import contents
from benchmark.materials.open_i_report import OpenIReport
from benchmark.pipeline import layout, settings
from benchmark.training.captions import CaptionSampler
from tests.repository import REPOSITORY

PARAMS = REPOSITORY / "params.yaml"
NORMAL = "FINDINGS: The lungs are clear. Heart size is normal.\n\nIMPRESSION: No acute disease."
ABNORMAL = "FINDINGS: The lungs are clear. There is a small left effusion.\n\nIMPRESSION: 1. Stable cardiomegaly."


def index(studies: int = 60) -> pd.DataFrame:
    """Two images a study, two studies a patient; every third study normal, the last ten validate, one has no text."""
    rows = []
    for number in range(studies):
        normal = number % 3 == 0
        report = (NORMAL if normal else ABNORMAL).replace("Stable", ["Stable", "Mild", "Marked"][number % 3])
        split = "train" if number < studies - 10 else "validate"
        rows += [(f"s{number:03d}", f"p{number // 2:03d}", split, report if number else "", int(normal))] * 2
    table = pd.DataFrame(rows, columns=["study_id", "patient_id", "split", "report", "normal"])
    return table.astype({"normal": "Int8"})


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS.read_text(encoding="utf-8"), encoding="utf-8")
    files.write_parquet(layout.cohort("mimic_cxr") / "index.parquet", index())
    reports = [OpenIReport(str(n), f"Case {n}. No effusion. Tortuous aorta.", "", "", "", (), (), ()) for n in range(9)]
    monkeypatch.setattr(contents, "open_i_reports", lambda: reports)
    return tmp_path


def test_the_stage_writes_what_the_contract_says(workspace: Path) -> None:
    stage.run()
    sentences = pd.read_parquet(layout.CAPTIONS / "sentences.parquet")
    studies = pd.read_parquet(layout.CAPTIONS / "studies.parquet")
    assert list(sentences) == ["study_id", "position", "text", "prompted", "abnormal_probability", "normal"]
    assert sentences["position"].dtype == np.int32
    assert sentences["abnormal_probability"].dtype == np.float32
    assert "s000" not in set(studies["study_id"])  # its report is empty
    assert studies["study_id"].is_unique
    assert len(studies) == 59
    known = index().drop_duplicates("study_id").set_index("study_id")["normal"].astype(bool)
    assert (studies["normal"].to_numpy() == known[studies["study_id"]].to_numpy()).all()
    one = sentences[sentences["study_id"] == "s001"]
    assert one["text"].tolist() == ["The lungs are clear", "There is a small left effusion", "Mild cardiomegaly"]
    assert one["prompted"].tolist() == [
        "There is no lung opacity.",
        "There is pleural effusion on the left.",
        "There is cardiomegaly. There is enlarged cardiomediastinum.",
    ]
    assert one["normal"].tolist() == [True, False, False]
    quality = files.read_json(layout.CAPTIONS / "quality.json")
    assert quality["filter"]["removed"] == (~studies["normal"]).sum()
    vocabulary = files.read_json(layout.CAPTIONS / "vocabulary.json")
    assert {"there", "no", "cardiomegaly", "effusion"} <= set(vocabulary)
    assert len(vocabulary) == len(set(vocabulary))


def test_the_same_input_gives_the_same_bytes(workspace: Path) -> None:
    stage.run()
    first = {path.name: path.read_bytes() for path in layout.CAPTIONS.iterdir()}
    stage.run()
    assert {path.name: path.read_bytes() for path in layout.CAPTIONS.iterdir()} == first


def test_the_sampler_reads_the_stage(workspace: Path) -> None:
    stage.run()
    sampler = CaptionSampler(*captions.read(), ["s000", "s001", "s003"], "filtered", 0.5, seed=1)
    assert sampler.has_caption.tolist() == [False, True, True]
    texts, is_normal = sampler([1, 2], epoch=0)
    assert is_normal.tolist() == [False, True]
    assert "clear" not in texts[0]


def test_validation_studies_teach_the_classifier_nothing(workspace: Path) -> None:
    studies = stage.read_studies(index())
    _, weak = stage.learnt(studies, settings.load().captions)
    assert set(weak["split"]) == {"train"}
    assert len(weak) == 3  # the distinct reports: each counts once


def test_a_table_of_prompts_enters_as_free_clauses(workspace: Path) -> None:
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    params["captions"] |= {"prompting": "table", "table": "llm.csv"}
    (workspace / "params.yaml").write_text(yaml.safe_dump(params))
    (workspace / "llm.csv").write_text("study_id,prompted\ns001,There is cardiomegaly. There is no pneumothorax.\n")
    stage.run()
    sentences = pd.read_parquet(layout.CAPTIONS / "sentences.parquet")
    free = sentences[(sentences["study_id"] == "s001") & (sentences["text"] == "")]
    assert free["prompted"].tolist() == ["There is cardiomegaly.", "There is no pneumothorax."]
    assert free["normal"].tolist() == [False, True]


def test_an_endpoint_never_sees_credentialed_reports(workspace: Path) -> None:
    params = yaml.safe_load((workspace / "params.yaml").read_text())
    params["captions"] |= {"prompting": "endpoint", "endpoint": {"url": "http://127.0.0.1:9/v1", "model": "m"}}
    (workspace / "params.yaml").write_text(yaml.safe_dump(params))
    files.write_json(layout.cohort("mimic_cxr") / "card.json", {"credentialed": True})
    with pytest.raises(UserError, match="credentialed"):
        stage.run()


def test_missing_input_is_one_sentence(workspace: Path) -> None:
    (layout.cohort("mimic_cxr") / "index.parquet").unlink()
    with pytest.raises(UserError, match="run `dvc repro prepare@mimic_cxr`"):
        stage.run()


def test_one_class_of_studies_cannot_teach(workspace: Path) -> None:
    files.write_parquet(layout.cohort("mimic_cxr") / "index.parquet", index().assign(normal=1))
    with pytest.raises(UserError, match="one class only"):
        stage.run()


def test_the_vocabulary_is_ordered_by_frequency_then_alphabet() -> None:
    texts, patients = ["Clear lungs.", "lungs 3.5 clear", "mass 3.5 lungs"], ["a", "b", "c"]
    assert stage.vocabulary(texts, patients, 2) == ["lungs", "3.5", "clear"]
    assert stage.vocabulary(texts, patients, 1) == ["lungs", "3.5", "clear", "mass"]


def test_a_word_of_one_patient_stays_out_however_often_it_is_dictated() -> None:
    texts = ["Seen by Quillback, Quillback agrees."] * 9 + ["Seen now.", "Seen again."]
    assert stage.vocabulary(texts, ["a"] * 9 + ["b", "c"], 2) == ["seen"]


def test_a_vocabulary_without_words_is_refused() -> None:
    with pytest.raises(UserError, match=r"5 patients .* lower `captions.min_patients`"):
        stage.vocabulary(["clear lungs"] * 9, ["a"] * 9, 5)


@pytest.mark.parametrize(("patients", "known"), [(4, False), (5, True)])
def test_a_name_in_reports_of_few_patients_reaches_no_vocabulary(workspace: Path, patients: int, known: bool) -> None:
    table = index()
    named = table["patient_id"].isin(sorted(table["patient_id"].unique())[1 : 1 + patients])
    table.loc[named, "report"] = table.loc[named, "report"] + " Discussed with Dr. Quillback."
    files.write_parquet(layout.cohort("mimic_cxr") / "index.parquet", table)
    stage.run()
    assert ("quillback" in files.read_json(layout.CAPTIONS / "vocabulary.json")) is known

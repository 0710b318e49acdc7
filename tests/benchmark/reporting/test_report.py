"""The PDFs hold the measured numbers, say PHANTOM on each page, and come out the same twice."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from pypdf import PdfReader

from benchmark.artifacts import evidence
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.pipeline import layout, settings
from benchmark.reporting import answer, cohorts, headline, report, tables
from benchmark.reporting.figures import examples
from tests.benchmark import measured_run

DOCUMENTS = ("comparison", "ablation")


def pages(root: Path, document: str) -> list[str]:
    return [page.extract_text() for page in PdfReader(root / "reports" / f"{document}.pdf").pages]


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((root / "reports").rglob("*"))
        if path.is_file()
    }


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_page_says_phantom_and_its_number(reported_once, document):
    found = pages(reported_once, document)
    for number, text in enumerate(found, start=1):
        assert "PHANTOM" in text
        assert f"{number}/{len(found)}" in squeezed(text)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_no_identifier_of_a_file_reaches_a_reader(reported_once, document):
    text = "".join(pages(reported_once, document))
    identifiers = set(re.findall(r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+", text))
    assert identifiers <= {"open_clip_torch", *layout.DATASETS}  # the synthetic images are named vindr_cxr-00001 ...


def test_the_pages_are_a4_with_a_linked_outline(reported_once):
    reader = PdfReader(reported_once / "reports/comparison.pdf")
    assert {(round(p.mediabox.width), round(p.mediabox.height)) for p in reader.pages} == {(595, 842)}
    titles = str([getattr(entry, "title", entry) for entry in reader.outline])
    assert "Main result" in titles
    assert any("/Annots" in page for page in reader.pages)


def test_the_main_table_in_the_pdf_holds_the_numbers_of_results(reported_once):
    text = squeezed("".join(pages(reported_once, "comparison")))
    auc = pd.read_csv(reported_once / "results/auc.csv", dtype={"seed": str}, keep_default_na=False, na_values={})
    chosen = auc[(auc.seed == "all") & (auc.finding == "") & (auc.progress.astype(float) == 1.0)]
    chosen = chosen[chosen.system.isin(["clip", "carzero", "offclip"]) & chosen.score.isin(["prompt", ""])]
    chosen = chosen[chosen.quantity.isin(["normal_auc", "abnormal_auc"]) & (chosen.dataset != "overall")]
    assert len(chosen) == 24
    for row in chosen.astype({"estimate": float, "low": float, "high": float}).to_dict("records"):
        assert squeezed(tables.estimate(row)) in text


def test_the_first_page_alone_holds_question_answer_costs_budget_and_banner(reported_once):
    first = squeezed(pages(reported_once, "comparison")[0])
    differences = pd.read_csv(reported_once / "results/differences.csv")
    pair = differences[(differences.a == "offclip") & (differences.b == "carzero")]
    whole = pair[(pair.quantity == "normal_auc") & (pair.score == "prompt") & (pair.dataset == "overall")].iloc[0]
    assert squeezed(tables.estimate(whole)) in first
    for words in ("atwhatcost?", "AbnormalAUC", "Abnormalscallednormal", "2TFLOP", "renderedfromonepublicCT"):
        assert words in first


def test_every_table_is_there_in_three_forms(reported_once):
    made = {path.name for path in (reported_once / "reports/tables").iterdir()}
    stems = {name.rsplit(".", 1)[0] for name in made}
    assert {"main", "verdicts", "differences", "per_finding", "ledger", "cohorts", "ablation_effects"} <= stems
    assert made == {f"{stem}.{kind}" for stem in stems for kind in ("csv", "md", "tex")}


def test_figures_are_vector_files_without_a_date(reported_once):
    drawn = sorted((reported_once / "reports/figures").iterdir())
    assert {"roc.svg", "histograms.svg", "similarity.svg", "heatmaps.svg", "budget_curves.svg"} <= {
        p.name for p in drawn
    }
    for path in drawn:
        text = path.read_text()
        assert text.lstrip().startswith("<?xml")
        assert "<dc:date>" not in text


def test_the_same_files_give_the_same_bytes(reported):
    before = digests(reported)
    report.run()
    assert digests(reported) == before


@pytest.mark.parametrize(
    "draw", [lambda *a: examples.heatmaps(a[0], ("carzero", "offclip"), a[1]), examples.contact_sheet]
)
def test_images_of_a_real_dataset_stay_out_unless_sharing_is_allowed(reported, draw):
    path = layout.cohort("vindr_cxr") / "card.json"
    card = files.read_json(path) | {"phantom": False, "credentialed": True}

    def rasters(shared: bool) -> int:
        files.write_json(path, card | {"share_examples": shared})
        return (reported / draw(evidence.load(settings.load()), reported).file).read_text().count("<image")

    assert 0 < rasters(shared=False) < rasters(shared=True)


def test_excluded_names_of_a_real_dataset_stay_out(reported):
    path = layout.cohort("vindr_cxr") / "card.json"
    exclusions = [{"reason": "unreadable", "count": 1, "examples": ["a1b2c3d4e5"]}]
    files.write_json(path, files.read_json(path) | {"phantom": False, "exclusions": exclusions})
    table = cohorts.exclusions(evidence.load(settings.load()))
    tables.write(table, reported / "out")
    written = "".join(made.read_text() for made in sorted((reported / "out").iterdir()))
    assert "unreadable" in written
    assert "a1b2c3d4e5" not in written + json.dumps(tables.to_typst(table))


def test_each_phantom_set_stands_beside_its_table(reported):
    table = cohorts.beside(evidence.load(settings.load()))
    assert len(table.rows) == len(layout.EVALUATION_DATASETS), "the training set has no public table"
    normal, ap, among_normal = (cell.text for cell in table.rows[0][2:5])
    assert (normal, ap, among_normal) == ("50.0 / 40.0", f"50.0 / {tables.MISSING}", f"25.0 / {tables.MISSING}")
    said = table.data.set_index(["dataset", "what"])
    assert said.loc[("padchest", "ap_abnormal"), "phantom"] == 0.75
    assert len(table.data) > 4 * len(table.rows)


@pytest.mark.parametrize("make", [headline.main, headline.normality])
def test_every_normal_auc_table_ends_a_dataset_with_its_floor(reported, make):
    found = evidence.load(settings.load())
    table = make(found)
    floors = [row for row in table.rows if row[1].text == headline.FLOOR]
    measured = found.results["ceiling"].query("quantity == 'thumbnail'")
    assert [row[2].text for row in floors] == [tables.estimate(row) for row in measured.to_dict("records")]
    assert len(floors) == len(layout.EVALUATION_DATASETS)
    assert (measured["low"] < measured["estimate"]).all()
    assert set(table.data.loc[table.data["system"] == "thumbnail", "quantity"]) == {"normal_auc"}


def test_the_text_filter_is_told_in_words(reported_once):
    text = squeezed("".join(pages(reported_once, "comparison")))
    assert squeezed("Accuracy of the sentence classifier 0.938 [0.905, 0.959] 312") in text
    assert squeezed("of these, removed by the filter 613") in text


def test_a_few_numbers_are_kept_for_dvc_metrics(reported_once):
    kept = json.loads((reported_once / "reports/metrics.json").read_text())
    auc = pd.read_csv(reported_once / "results/auc.csv", dtype={"seed": str}, keep_default_na=False)
    chosen = auc[
        (auc.system == "clip") & (auc.seed == "all") & (auc.quantity == "normal_auc") & (auc.score == "prompt")
    ]
    whole = chosen[(chosen.progress.astype(float) == 1.0) & (chosen.dataset != "overall")].estimate.astype(float)
    assert len(whole) == 4
    assert kept["clip"]["normal_auc"] == pytest.approx(whole.mean(), abs=1e-12)
    assert set(kept) == {"clip", "carzero", "offclip"}


def test_undefined_findings_are_listed(reported_once):
    undefined = pd.read_csv(reported_once / "results/undefined.csv")
    text = squeezed("".join(pages(reported_once, "comparison")))
    assert len(undefined)
    assert all(squeezed(finding) in text for finding in undefined.finding)


def test_the_appendix_says_whether_intervals_keep_their_promise(reported_once):
    text = squeezed("".join(pages(reported_once, "comparison")))
    found = pd.read_csv(reported_once / "results/coverage.csv")
    appendix = text[text.index("Thestatisticstestedonsimulatedstudies") :]
    for row in found.to_dict("records"):
        assert squeezed(row["setting"]) in appendix
        assert squeezed(tables.estimate({**row, "estimate": row["value"]})) in appendix


def test_unmatched_budgets_are_said(reported):
    path = layout.run("carzero", 0) / "ledger.json"
    ledger = files.read_json(path)
    ledger["spent"]["flops"] *= 1.5
    files.write_json(path, ledger)
    budget = answer.compose(evidence.load(settings.load()))["budget"]
    assert "do NOT match: CARZero seed 0 spent 150.0% of the budget" in budget


def test_without_results_one_sentence_says_what_to_do(tmp_path):
    (tmp_path / "params.yaml").write_text((measured_run.synthetic_run.REPOSITORY / "params.yaml").read_text())
    with measured_run.working_in(tmp_path), pytest.raises(UserError, match="is missing; run `dvc repro measure`"):
        report.run()

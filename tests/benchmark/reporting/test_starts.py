"""The same systems from random weights stand beside the pretrained ones: every seed, what is inverted, what it cost."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from pypdf import PdfReader

from benchmark.artifacts import evidence
from benchmark.artifacts.evidence import Evidence
from benchmark.common import files
from benchmark.pipeline import layout, settings
from benchmark.reporting import answer, budget, glance, report
from benchmark.reporting.figures import seeds
from tests.benchmark import measured_run, synthetic_run

BOTH = ("carzero", "offclip")
SCRATCH = ("carzero_scratch", "offclip_scratch")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two systems from both starts; CARZero's sign is wrong from scratch."""
    root = tmp_path_factory.mktemp("starts")
    with pytest.MonkeyPatch.context() as patch:
        inverted = {"carzero_scratch": synthetic_run.Skill(-2.0, 0.5), "offclip_scratch": synthetic_run.Skill(1.5, 0.5)}
        patch.setattr(synthetic_run, "SKILL", synthetic_run.SKILL | inverted)
        measured_run.write(root, images=80, replicates=20, systems=BOTH, scratch=SCRATCH, ablation=(), snapshots=())
    with measured_run.working_in(root):
        for pair in [(system, seed) for system in (*BOTH, *SCRATCH) for seed in (0, 1)]:
            path = layout.run(*pair) / "ledger.json"
            start = {"kind": "scratch", "flops": 0.0} if pair[0] in SCRATCH else {"kind": "pretrained", "flops": 3.6e12}
            files.write_json(path, files.read_json(path) | {"start": start})
        report.run()
    return root


@pytest.fixture
def found(root: Path, monkeypatch: pytest.MonkeyPatch) -> Evidence:
    monkeypatch.chdir(root)
    return evidence.load(settings.load())


def test_the_first_page_holds_both_starts_and_every_table(root: Path) -> None:
    page = re.sub(r"\s+", " ", PdfReader(root / layout.REPORTS / "comparison.pdf").pages[0].extract_text())
    for words in ("From scratch: +", "Table 1", "Table 2", "Figure 1", "every training seed", "PHANTOM", "Budget."):
        assert words.lower() in page.lower()


def test_the_first_page_counts_the_seeds_of_both_starts(found: Evidence) -> None:
    fewer = found.settings.model_copy(update={"scratch_seeds": [0]})
    assert "trained from 2 seeds under one budget" in answer.compose(found)["budget"]
    assert (
        "trained from 2 seeds (1 from scratch) under one budget"
        in answer.compose(replace(found, settings=fewer))["budget"]
    )


def test_the_decision_has_a_column_for_each_start(found: Evidence) -> None:
    assert answer.twins(found) == ("offclip_scratch", "carzero_scratch")
    titles = [column.title for column in glance.decision(found).columns]
    assert titles.index("Pretrained") < titles.index("From scratch")
    rows = glance.systems(found).rows
    assert [row[1].text for row in rows] == ["CARZero", "OFF-CLIP"] * 2
    assert [row[0].text for row in rows] == ["pretrained start", "", "from scratch", ""]


def test_an_inverted_system_is_counted_seed_by_seed(found: Evidence) -> None:
    assert seeds.inversions(found, "carzero_scratch").endswith(
        "2 of 2 seeds inverted on the mean, 8 of 8 on single datasets."
    )
    assert seeds.inversions(found, "offclip") == ""


def test_the_ledger_says_what_the_start_cost_and_who_shares_it(found: Evidence) -> None:
    table = budget.ledger(found)
    column = [c.title for c in table.columns].index("Start, TFLOP")
    assert {row[column].text for row in table.rows} == {"3.60", "0.00"}
    assert "a pretrained start of its own, which cost 3.6 TFLOP and is shared by all systems of the seed" in table.note
    assert table.note.endswith("Systems from scratch did not pay it.")


def test_one_given_start_for_every_seed_is_said_to_be_none_that_an_interval_holds(
    found: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(found.runs[0]), "ledger", {"start": {"kind": "given", "flops": None}})
    assert "the same for every seed; intervals hold for this start" in budget.start(found)

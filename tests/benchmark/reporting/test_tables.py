"""A table says the same in four forms, and no form breaks on a special character."""

from __future__ import annotations

import csv
import shutil
import subprocess

import pandas as pd
import pytest

from benchmark.reporting import tables
from benchmark.reporting.tables import Cell, Column


@pytest.fixture
def table():
    data = pd.DataFrame({"system": ["CLIP", "A_B & 50 %"], "estimate": [0.123456789012, -0.5]})
    rows = [["CLIP", tables.number(0.123456789012)], ["A_B & 50 %", Cell(tables.number(-0.5), bold=True)]]
    return tables.table("main", "Caption", [Column("System", "left"), Column("AUC")], rows, data, note="Note")


def test_numbers_are_rounded_for_readers_and_whole_for_machines(table, tmp_path):
    tables.write(table, tmp_path, "PHANTOM")
    with open(tmp_path / "main.csv") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["cohort"] for row in rows] == ["PHANTOM", "PHANTOM"]
    assert float(rows[0]["estimate"]) == 0.123456789012
    assert "| CLIP | 0.123 |" in (tmp_path / "main.md").read_text()


def test_every_form_of_a_phantom_table_says_so(table, tmp_path):
    tables.write(table, tmp_path, "PHANTOM")
    assert all("PHANTOM" in (tmp_path / f"main.{kind}").read_text() for kind in ("csv", "md", "tex"))


def test_latex_escapes_what_latex_would_read(table):
    text = tables.to_latex(table)
    assert r"A\_B \& 50 \% & \textbf{$-$0.500} \\" in text
    assert text.count(r"\toprule") == text.count(r"\midrule") == text.count(r"\bottomrule") == 1


def test_prose_wraps_in_latex_and_a_long_table_goes_on_overleaf():
    columns = [Column("Claim", "left", wide=3), Column("Note", "left", wide=1), Column("AUC")]
    rows = [[f"claim {i} " + "word " * 40, "a note", "0.5"] for i in range(tables.PAGE_ROWS + 1)]
    text = tables.to_latex(tables.table("t", "c", columns, rows, pd.DataFrame()))
    assert text.startswith(r"% needs \usepackage{booktabs,array,longtable}")
    assert text.count("p{") == 2
    assert text.index("claim 0 ") > text.index(r"\endhead")
    assert text.count("AUC") == 2, "the heading is repeated"


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here; on Debian: texlive-latex-recommended")
def test_every_table_of_a_report_compiles(reported_once, tmp_path):
    made = sorted((reported_once / "reports/tables").glob("*.tex"))
    packages = r"\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}"
    packages += r"\usepackage{booktabs,array,longtable,makecell,rotating,pdflscape}"
    body = "\n".join(rf"\clearpage\input{{{path}}}" for path in made)
    (tmp_path / "all.tex").write_text(
        rf"\documentclass[a4paper]{{article}}{packages}\begin{{document}}{body}\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_bold_cells_are_bold_in_markdown_and_their_bars_do_not_split_a_row():
    data = pd.DataFrame({"x": [1]})
    made = tables.table("t", "c", [Column("a"), Column("b")], [[Cell("1", bold=True), "x|y"]], data)
    assert "| **1** | x\\|y |" in tables.to_markdown(made)


def test_a_group_is_named_once_and_ruled_off():
    rows = [["a", "1"], ["a", "2"], ["b", "3"]]
    made = tables.table("t", "c", [Column("g"), Column("v")], rows, pd.DataFrame(), group_by=0)
    assert [row[0].text for row in made.rows] == ["a", "", "b"]
    assert made.rules == {2}


def test_a_row_of_the_wrong_length_is_refused():
    with pytest.raises(ValueError, match="1 cells for 2 columns"):
        tables.table("t", "c", [Column("a"), Column("b")], [["only"]], pd.DataFrame())


@pytest.mark.parametrize(
    ("value", "expected"), [(0.5, "0.500"), (-0.0125, "−0.013"), (float("nan"), "–"), (1.0, "1.000")]
)
def test_numbers_read_as_a_printer_would_set_them(value, expected):
    assert tables.number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0125, "+0.013"), (-0.0004, "0.000"), (0.0004, "0.000"), (-0.0006, "−0.001")]
)
def test_what_rounds_to_zero_has_no_sign(value, expected):
    assert tables.signed(value) == expected


def test_an_estimate_without_interval_stands_alone():
    row = {"estimate": 0.25, "low": float("nan"), "high": float("nan")}
    assert tables.estimate(row, sign=True) == "+0.250"
    assert tables.estimate({"estimate": 0.25, "low": 0.1, "high": 0.4}, 2) == "0.25 [0.10, 0.40]"

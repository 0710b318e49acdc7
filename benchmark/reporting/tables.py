"""One table, four forms: tidy .csv for machines, .md and .tex (booktabs) to paste, rows for Typst.

A ``Table`` holds the formatted cells a reader sees beside the tidy frame of numbers they were made
from, so that no number is typed or rounded twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from benchmark.artifacts.select import NOT_ESTIMABLE
from benchmark.common import files

Align = Literal["left", "center", "right"]
MISSING = "–"
EXCEEDS, INVERTED = "↑", "↓"
"""Marks of an AUC above the supervised reference's, and of an inverted one."""
PAGE_ROWS = 50
"""Rows of a printed page; a LaTeX table with more continues on the next page."""
LINE_CHARACTERS = {"small": 95, "footnotesize": 112, "scriptsize": 135}
"""LaTeX's type sizes, and the characters that fit a line of an A4 page with room between columns."""
ASIDE = {"scriptsize": 205, "tiny": 260}
"""The same of a page that is turned on its side, for tables that no upright page holds."""
LEAST_PROSE = 0.4
"""Share of the line that prose gets at least."""
LATEX_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "−": "$-$",
    "±": r"$\pm$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "<": r"$<$",
    ">": r"$>$",
}


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table; a line break stays one."""

    text: str
    bold: bool = False


Cells = list[list[Cell | str]]
"""Rows while they are put together; plain strings become cells."""


@dataclass(frozen=True)
class Column:
    """A heading and how its cells stand."""

    title: str
    align: Align = "right"
    wide: int = 0
    """Holds prose: its share of the width that the other columns leave; 0 = as wide as its text."""


@dataclass(frozen=True)
class Table:
    """A table as read (``rows``) and as computed with (``data``)."""

    name: str
    """File stem."""
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    data: pd.DataFrame
    """Tidy numbers, unrounded."""
    note: str = ""
    rules: frozenset[int] = field(default_factory=frozenset)
    """Indices of rows above which a thin rule separates groups."""
    group: int | None = None
    """Column that names the groups; its cell spans the group's rows."""


def number(value: float, digits: int = 3) -> str:
    """A fixed-point number with a true minus sign, none for what rounds to zero; an en dash where there is none."""
    return MISSING if pd.isna(value) else f"{value:z.{digits}f}".replace("-", "−")


def signed(value: float, digits: int = 3) -> str:
    """Like ``number`` with its sign always shown; what rounds to zero has none."""
    return MISSING if pd.isna(value) else f"{value:{'+' if round(value, digits) else 'z'}.{digits}f}".replace("-", "−")


def interval(low: float, high: float, digits: int = 3) -> str:
    """``[0.901, 0.944]``, or nothing where the interval is undefined."""
    return "" if pd.isna(low) or pd.isna(high) else f"[{number(low, digits)}, {number(high, digits)}]"


def estimate(row: Mapping[Any, Any], digits: int = 3, *, sign: bool = False) -> str:
    """An estimate with its interval: ``0.923 [0.901, 0.944]``; an estimate that rounds to zero has no sign."""
    value = row["estimate"]
    shown = signed(value, digits) if sign else number(value, digits)
    if str(row.get("note", "")).startswith(NOT_ESTIMABLE):
        return f"{shown}, {row['note'].split(';')[0]}"
    return f"{shown} {interval(row['low'], row['high'], digits)}".rstrip()


def stacked(row: Mapping[Any, Any] | None, digits: int = 3, *, sign: bool = False) -> str:
    """An estimate above its interval, for narrow columns."""
    if row is None:
        return MISSING
    shown = estimate(row, digits, sign=sign)
    return shown.replace(" [" if "[" in shown else ", ", "\n[" if "[" in shown else ",\n", 1)


def p_value(value: float) -> str:
    """``0.013``, or ``<0.001``."""
    return MISSING if pd.isna(value) else "<0.001" if value < 0.001 else f"{value:.3f}"


def count(value: float) -> str:
    """A whole number with thin groups: ``6,000``."""
    return MISSING if pd.isna(value) else f"{int(value):,}"


def group_rules(keys: Sequence[Any]) -> frozenset[int]:
    """Rows at which a key differs from the one above: where a group begins."""
    return frozenset(i for i in range(1, len(keys)) if keys[i] != keys[i - 1])


def table(
    name: str,
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell | str]],
    data: pd.DataFrame,
    *,
    note: str = "",
    group_by: int | None = None,
) -> Table:
    """Build a ``Table``; plain strings become cells.

    Args:
        name: file stem.
        caption: one sentence that can stand alone.
        columns: headings.
        rows: cells, as many in each row as there are columns.
        data: the tidy numbers behind the cells.
        note: what a reader must know beside it.
        group_by: column whose change separates groups; its repeated values are shown once.
    """
    cells = [tuple(Cell(c) if isinstance(c, str) else c for c in row) for row in rows]
    for row in cells:
        if len(row) != len(columns):
            raise ValueError(f"table {name}: a row has {len(row)} cells for {len(columns)} columns")
    rules: frozenset[int] = frozenset()
    if group_by is not None:
        keys = [row[group_by].text for row in cells]
        rules = group_rules(keys)
        cells = [
            (*row[:group_by], Cell("") if i and i not in rules else row[group_by], *row[group_by + 1 :])
            for i, row in enumerate(cells)
        ]
    return Table(name, caption, tuple(columns), tuple(cells), data.reset_index(drop=True), note, rules, group_by)


def to_typst(value: Table) -> dict[str, Any]:
    """The JSON that ``layout.typ`` lays out."""
    return {
        "name": value.name,
        "caption": value.caption,
        "note": value.note,
        "columns": [{"title": c.title, "align": c.align, "wide": c.wide} for c in value.columns],
        "rows": [[{"text": c.text, "bold": c.bold} for c in row] for row in value.rows],
        "rules": sorted(value.rules),
        "group": value.group,
    }


def to_markdown(value: Table, mark: str = "") -> str:
    """A GitHub-flavoured table under its caption; ``mark`` (``PHANTOM``) leads the caption."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cells)} |"

    def shown(cell: Cell) -> str:
        text = cell.text.replace("|", "\\|").replace("\n", "<br>")
        return f"**{text}**" if cell.bold and text else text

    rule = {"left": ":--", "center": ":-:", "right": "--:"}
    lines = [f"{_marked(value.caption, mark)}", "", line([c.title.replace("\n", " ") for c in value.columns])]
    lines.append(line([rule[c.align] for c in value.columns]))
    lines += [line([shown(cell) for cell in row]) for row in value.rows]
    if value.note:
        lines += ["", value.note]
    return "\n".join(lines) + "\n"


def to_latex(value: Table, mark: str = "") -> str:
    """A booktabs ``table``, or a ``longtable`` where the rows do not fit a page; its first line names the packages."""

    def shown(cell: Cell, place: int) -> str:
        text = r" \\ ".join(latex_escape(line) for line in cell.text.split("\n"))
        text = rf"\makecell[{value.columns[place].align[0]}]{{{text}}}" if "\n" in cell.text else text
        return rf"\textbf{{{text}}}" if cell.bold and text else text

    def line(cells: Sequence[str]) -> str:
        return "  " + " & ".join(cells) + r" \\"

    is_long = len(value.rows) > PAGE_ROWS
    label = rf"\label{{tab:{value.name.replace('_', '-')}}}"
    caption = rf"\caption{{{latex_escape(_marked(value.caption, mark))}}}{label}"
    type_size, columns, aside = _latex_layout(value)
    size = rf"\{type_size}\setlength{{\tabcolsep}}{{3pt}}"
    titles = line([shown(Cell(c.title), place) for place, c in enumerate(value.columns)])
    heading = [r"  \toprule", titles, r"  \midrule"]
    body = []
    for i, row in enumerate(value.rows):
        body += [r"  \addlinespace"] if i in value.rules else []
        body.append(line([shown(cell, place) for place, cell in enumerate(row)]))
    note = rf"\par\smallskip\footnotesize {latex_escape(value.note)}" if value.note else ""
    if is_long:
        lines = [rf"{{{size}", rf"\begin{{longtable}}{{{columns}}}", rf"  {caption} \\", *heading, r"  \endfirsthead"]
        lines += [*heading, r"  \endhead", *body, r"  \bottomrule", r"\end{longtable}", *([note] if note else []), "}"]
        lines = [r"\begin{landscape}", *lines, r"\end{landscape}"] if aside else lines
    else:
        kind = "sidewaystable" if aside else "table"
        lines = [
            rf"\begin{{{kind}}}",
            r"\centering",
            size,
            caption,
            rf"\begin{{tabular}}{{{columns}}}",
            *heading,
            *body,
        ]
        lines += [r"  \bottomrule", r"\end{tabular}", *([note] if note else []), rf"\end{{{kind}}}"]
    needed = [
        "booktabs",
        *(["array"] if any(c.wide for c in value.columns) else []),
        *(["makecell"] if any(r"\makecell" in line for line in lines) else []),
        *(["longtable"] if is_long else []),
        *([("pdflscape" if is_long else "rotating")] if aside else []),
    ]
    return "\n".join([rf"% needs \usepackage{{{','.join(needed)}}}", *lines]) + "\n"


def _latex_layout(value: Table) -> tuple[str, str, bool]:
    """Type size, column types and whether the page is turned; prose shares the width that other columns leave."""
    longest = [
        max(len(line) for cell in (Cell(c.title), *column) for line in cell.text.split("\n"))
        for c, column in _by_column(value)
    ]
    narrow = sum(length + 2 for c, length in zip(value.columns, longest, strict=True) if not c.wide)
    shares = sum(c.wide for c in value.columns)
    least = LEAST_PROSE if shares else 0.0
    places = [(*each, False) for each in LINE_CHARACTERS.items()] + [(*each, True) for each in ASIDE.items()]
    size, line, aside = next((one for one in places if 1 - narrow / one[1] >= least), places[-1])
    left = max(least, 1 - narrow / line)
    prose = r">{{\raggedright\arraybackslash}}p{{{:.2f}\linewidth}}"
    columns = "".join(prose.format(left * c.wide / shares) if c.wide else c.align[0] for c in value.columns)
    return size, columns, aside


def _by_column(value: Table) -> list[tuple[Column, tuple[Cell, ...]]]:
    cells = zip(*value.rows, strict=True) if value.rows else [()] * len(value.columns)
    return list(zip(value.columns, cells, strict=True))


def latex_escape(text: str) -> str:
    """Text with LaTeX's special characters made literal."""
    return "".join(LATEX_SPECIAL.get(c, c) for c in text)


def write(value: Table, folder: Path, mark: str = "") -> None:
    """Write ``<name>.csv``, ``.md`` and ``.tex``; a mark becomes the CSV's first column, ``cohort``."""
    data = value.data.copy()
    if mark:
        data.insert(0, "cohort", mark)
    files.write_csv(folder / f"{value.name}.csv", data)
    files.write_text(folder / f"{value.name}.md", to_markdown(value, mark))
    files.write_text(folder / f"{value.name}.tex", to_latex(value, mark))


def _marked(caption: str, mark: str) -> str:
    return f"{mark}. {caption}" if mark else caption

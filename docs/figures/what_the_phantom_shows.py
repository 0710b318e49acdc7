"""``python docs/figures/what_the_phantom_shows.py [ROOT]``: tables and figure of docs/what-the-phantom-shows.md.

They are read off results/ of a finished run below ROOT (the current folder): tables between the page's markers, and
docs/images/what-the-phantom-shows.png. The prose around them is written by hand, after the numbers.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from benchmark.artifacts import select
from benchmark.artifacts.columns import BEST, OVERALL, WORST
from benchmark.pipeline import layout, settings
from benchmark.pipeline.settings import Settings
from benchmark.reporting import names

DOCS = Path(__file__).resolve().parents[1]
PAGE, IMAGE = DOCS / "what-the-phantom-shows.md", DOCS / "images/what-the-phantom-shows.png"
MEANS = (
    ("normal AUC", "auc", {"quantity": "normal_auc", "score": "prompt"}),
    ("worst wording", "auc", {"quantity": "normal_auc", "score": WORST}),
    ("1 − max", "auc", {"quantity": "normal_auc", "score": "one_minus_max"}),
    ("abnormal AUC", "auc", {"quantity": "abnormal_auc", "score": ""}),
    ("among abnormals", "auc", {"quantity": "abnormal_auc_among_abnormals", "score": ""}),
    ("against normals", "auc", {"quantity": "abnormal_auc_against_normals", "score": ""}),
    ("pointing game", "grounding", {"measure": "pointing", "size": "all", "heatmap": "published"}),
)
"""Column -> the table of results/ and the row that holds it, mean over the evaluation sets."""
TABLES = ("auc", "grounding", "differences", "effects", "ceiling")
TEXTS = ("score", "finding", "note", "rule", "size")
"""Columns that are empty where they do not apply."""
WHOLE = {"dataset": OVERALL, "finding": "", "progress": 1.0}


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first column to the left and the others to the right."""
    lines = [head, ["--", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def estimate(row: select.Row | None, sign: bool = False) -> str:
    """``.905 [.890, .920]``."""
    if row is None or pd.isna(row["estimate"]):
        return ""
    form = "+.3f" if sign else ".3f"
    numbers = [f"{row[part]:{form}}".replace("-", "−") for part in ("estimate", "low", "high")]
    if pd.isna(row["low"]):
        return f"{numbers[0]} ({row['note']})"
    return f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"


def mean_row(results: dict[str, pd.DataFrame], name: str, system: str, wanted: dict[str, Any], **more: Any) -> Any:
    """One system's row of a table on the mean over the sets."""
    found = results[name]
    equal = {key: value for key, value in WHOLE.items() if key in found} | wanted
    return select.one(found, system=system, **{"seed": "all", **equal, **more})


def blocks(chosen: Settings, results: dict[str, pd.DataFrame]) -> Iterator[tuple[str, str]]:
    """Name and Markdown of every table."""
    labels = {name: chosen.systems[name].label for name in chosen.names()}
    for group, systems in (("pretrained", chosen.compare), ("scratch", chosen.scratch), ("ablation", chosen.ablation)):
        cells = [
            [labels[system], *[estimate(mean_row(results, name, system, wanted)) for _, name, wanted in MEANS]]
            for system in systems
        ]
        yield group, table(["system", *[column for column, _, _ in MEANS]], cells)
    cells = []
    for system in chosen.scratch:
        rows = select.rows(results["auc"], dataset=OVERALL, system=system, quantity="normal_auc", score="prompt")
        each = [row for row in rows.to_dict("records") if row["seed"] != "all" and row["progress"] == 1.0]
        worst = min(each, key=lambda row: row["estimate"])
        inverted = sum(select.is_inverted(row["high"]) for row in each)
        values = ", ".join(f"{row['estimate']:.3f}" for row in sorted(each, key=lambda row: int(row["seed"])))
        cells.append([labels[system], values, f"{worst['estimate']:.3f}", f"{inverted} of {len(each)}"])
    yield "seeds", table(["system", "normal AUC of each seed", "worst", "inverted"], cells)
    cells = []
    for endpoint in (chosen.statistics.primary, *chosen.statistics.secondary):
        where = {"quantity": endpoint.quantity, "score": endpoint.score, "dataset": OVERALL}
        row = select.difference(results["differences"], endpoint.a, endpoint.b, **where)
        if row is None:
            continue
        what = names.quantity(endpoint.quantity) + (", worst wording" if endpoint.score == WORST else "")
        adjusted = f"{row['p_holm']:.3f}" if pd.notna(row["p_holm"]) else ""
        detectable = f"{row['detectable']:.3f}" if pd.notna(row["detectable"]) else ""
        cells.append([f"{labels[endpoint.a]} − {labels[endpoint.b]}", what, estimate(row, True), adjusted, detectable])
    yield "declared", table(["pair", "quantity", "difference", "p, adjusted", "detectable"], cells)
    effects = select.rows(results["effects"], dataset=OVERALL, quantity="normal_auc", score="prompt", kind="effect")
    prices = select.rows(results["effects"], dataset=OVERALL, quantity="abnormal_auc", kind="effect")
    cells, shown = [], {*chosen.compare, *chosen.scratch}
    for row in effects.to_dict("records"):
        pair = {row["added"], row["removed"]}
        if not pair <= shown and chosen.statistics.primary.a not in pair:
            continue  # the other pairs are in reports/ablation.pdf
        price = select.one(prices, added=row["added"], removed=row["removed"])
        against = f"{labels[row['added']]} against {labels[row['removed']]}"
        cells.append([against, names.readable(row["effect"]), estimate(row, True), estimate(price, True)])
    yield "effects", table(["pair", "the one change", "normal AUC", "abnormal AUC"], cells)
    cells = []
    for dataset in layout.EVALUATION_DATASETS:
        ends = [
            select.one(results["ceiling"], dataset=dataset, quantity=quantity, finding="")
            for quantity in ("thumbnail", "normal_auc")
        ]
        cells.append([names.dataset(dataset), *[estimate(row) for row in ends]])
    yield "ends", table(["set", "thumbnail (floor)", "supervised reference"], cells)
    cells = []
    pointing = {"measure": "pointing", "size": "all", "finding": "", "seed": "all"}
    for dataset in layout.EVALUATION_DATASETS:
        for system in (*chosen.compare, "probe"):
            rows = select.rows(results["grounding"], dataset=dataset, system=system, **pointing).to_dict("records")
            by_map = {row["heatmap"]: row for row in rows}
            if by_map:
                name, any_map = labels.get(system, "supervised reference"), next(iter(by_map.values()))
                maps = [estimate(by_map.get(heatmap)) for heatmap in ("published", "cell")]
                cells.append([f"{names.dataset(dataset)}: {name}", *maps, f"{any_map['chance']:.3f}"])
    yield "pointing", table(["set: system", "published heatmap", "score of a cell", "chance"], cells)


def draw(chosen: Settings, results: dict[str, pd.DataFrame], path: Path) -> None:
    """Normal AUC of every seed, and its range over the wordings, from both starts."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    groups = [
        (name, systems)
        for name, systems in (("pretrained start", chosen.compare), ("from scratch", chosen.scratch))
        if systems
    ]
    for axis, (title, systems) in zip(
        figure.subplots(1, len(groups), sharex=True, squeeze=False)[0], groups, strict=True
    ):
        for place, system in enumerate(systems):
            ends = [
                mean_row(results, "auc", system, {"quantity": "normal_auc", "score": score}) for score in (WORST, BEST)
            ]
            if all(ends):
                axis.plot(
                    [end["estimate"] for end in ends], [place, place], color="#9ab", linewidth=6, solid_capstyle="butt"
                )
            rows = select.rows(results["auc"], dataset=OVERALL, system=system, quantity="normal_auc", score="prompt")
            each = rows[(rows["seed"] != "all") & (rows["progress"] == 1.0)]
            axis.plot(each["estimate"], [place] * len(each), "o", color="#1d4e79", markersize=4)
        axis.axvline(0.5, color="black", linewidth=0.6, linestyle=":")
        axis.set_yticks(range(len(systems)), [chosen.systems[system].label for system in systems])
        axis.invert_yaxis()
        axis.set_title(f"PHANTOM, {title}", fontsize=10)
        axis.set_xlabel("normal AUC, mean of four sets")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def filled(text: str, found: dict[str, str]) -> str:
    """The page with every table between its markers ``<!-- name -->`` and ``<!-- /name -->``."""
    for name, markdown in found.items():
        ends = rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)"
        text, count = re.subn(ends, f"{markdown}\n".replace("\\", r"\\"), text, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(
                f"{PAGE} should have the markers <!-- {name} --> and <!-- /{name} --> once, found {count}."
            )
    return text


def read(path: Path) -> pd.DataFrame:
    """A table of results/, its empty texts as ""."""
    found = pd.read_csv(path, dtype={"seed": str})
    texts = [column for column in TEXTS if column in found]
    return found.assign(**{column: found[column].astype(object).fillna("") for column in texts})


def main(root: Path) -> None:
    """Fill the page and draw the figure."""
    chosen = settings.load(root / layout.PARAMS)
    results = {name: read(root / layout.RESULTS / f"{name}.csv") for name in TABLES}
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), dict(blocks(chosen, results))), encoding="utf-8")
    draw(chosen, results, IMAGE)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())

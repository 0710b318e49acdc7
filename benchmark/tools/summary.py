"""``python -m benchmark summary``: the main table on the terminal, and where the reports lie."""

from __future__ import annotations

import pandas as pd
from rich.console import Console
from rich.table import Table

from benchmark.common.errors import UserError
from benchmark.pipeline import layout, settings
from benchmark.reporting import names

COLUMNS = {"normal_auc": "normal AUC", "abnormal_auc": "abnormal AUC (macro)"}


def main_rows(auc: pd.DataFrame) -> pd.DataFrame:
    """The rows of results/auc.csv that head every comparison.

    Args:
        auc: results/auc.csv as docs/files.md describes it.

    Returns:
        All-seeds rows at full budget: the published normality score and the macro over findings.
    """
    whole = auc[(auc.seed.astype(str) == "all") & (auc.progress == 1.0) & auc.finding.fillna("").eq("")]
    normal = (whole.quantity == "normal_auc") & (whole.score == "prompt")
    abnormal = (whole.quantity == "abnormal_auc") & whole.score.fillna("").eq("")
    return whole[normal | abnormal]


def run() -> None:
    """Print the comparison's main table with its intervals."""
    chosen = settings.load()
    path = layout.RESULTS / "auc.csv"
    if not path.is_file():
        raise UserError(f"{path} is missing; run `dvc repro` to make it.")
    try:
        rows = main_rows(pd.read_csv(path, keep_default_na=False))
    except (ValueError, AttributeError) as error:  # AttributeError: a column is missing
        raise UserError(f"{path} cannot be read ({error}); run `dvc repro` to make it again.") from None
    title = "PHANTOM cohort: drawn images, not patients" if chosen.is_phantom else "Published datasets"
    table = Table("dataset", "system", *COLUMNS.values(), title=title)
    for dataset in [name for name in layout.EVALUATION_DATASETS if name in set(rows.dataset)]:
        for system in chosen.compare:
            cells = []
            for quantity in COLUMNS:
                found = rows[(rows.dataset == dataset) & (rows.system == system) & (rows.quantity == quantity)]
                cells.append("-" if found.empty else "{estimate:.3f} [{low:.3f}, {high:.3f}]".format(**found.iloc[0]))
            table.add_row(names.dataset(dataset), chosen.systems[system].label, *cells)
    # The table is what was asked for, so it goes to standard output; progress goes to standard error.
    output = Console(highlight=False)
    output.print(table)
    output.print(f"Reports: {layout.REPORTS / 'comparison.pdf'}, {layout.REPORTS / 'ablation.pdf'}; runs: `make ui`.")

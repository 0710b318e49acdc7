"""``python -m benchmark summary``: the main table on the terminal, and where the reports lie."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmark.artifacts import evidence, quantities
from benchmark.pipeline import layout, settings
from benchmark.reporting import names

COLUMNS = {("normal_auc", "prompt"): "normal AUC", ("abnormal_auc", ""): "abnormal AUC (macro)"}
"""(quantity, score) -> what heads its column."""


def run() -> None:
    """Print the comparison's main table with its intervals.

    Raises:
        UserError: nothing was measured yet, or a table is damaged.
    """
    found = evidence.load(settings.load())
    title = f"{found.mark} cohort: drawn images, not patients" if found.mark else "Published datasets"
    table = Table("dataset", "system", *COLUMNS.values(), title=title)
    for dataset in layout.EVALUATION_DATASETS:
        for system in found.systems:
            rows = [quantities.macro(found, dataset, system, *column) for column in COLUMNS]
            if any(rows):
                cells = ["{estimate:.3f} [{low:.3f}, {high:.3f}]".format(**row) if row else "-" for row in rows]
                table.add_row(names.dataset(dataset), found.label(system), *cells)
    # The table is what was asked for, so it goes to standard output; progress goes to standard error.
    output = Console(highlight=False)
    output.print(table)
    output.print(f"Reports: {layout.REPORTS / 'comparison.pdf'}, {layout.REPORTS / 'ablation.pdf'}; runs: `make ui`.")

"""Stage ``report``: tables, figures and the two PDF documents from what was measured."""

from __future__ import annotations

from benchmark.artifacts import evidence, quantities
from benchmark.common import files
from benchmark.common.progress import say
from benchmark.pipeline import layout, settings
from benchmark.reporting import ablation, comparison, document, pdf, releases, tables


def run() -> None:
    """Write reports/comparison.pdf, reports/ablation.pdf, reports/tables/, reports/figures/ and reports/metrics.json.

    Raises:
        UserError: nothing was measured yet.
    """
    found = evidence.load(settings.load())
    with (
        files.replacing(layout.REPORTS / "tables") as table_folder,
        files.replacing(layout.REPORTS / "figures") as figure_folder,
    ):
        table_folder.mkdir(parents=True)
        figure_folder.mkdir(parents=True)
        for build in (comparison.build, ablation.build):
            made = build(found, figure_folder)
            target = layout.REPORTS / f"{made.name}.pdf"
            for table in made.tables:
                tables.write(releases.marked(found, table), table_folder, found.mark)
            pdf.build(made.template or made.name, document.content(found, made), figure_folder, target)
            say(f"{target}: {len(made.tables)} tables, {len(made.images)} figures")
    files.write_json(layout.REPORTS / "metrics.json", quantities.metrics(found))

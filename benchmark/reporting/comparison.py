"""The content of reports/comparison.pdf."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import (
    answer,
    budget,
    cohorts,
    detail,
    glance,
    headline,
    promises,
    provenance,
    ranking,
    releases,
    text_filter,
    verdicts,
)
from benchmark.reporting.document import Document, drawn
from benchmark.reporting.figures import (
    examples,
    findings,
    forest,
    histograms,
    prompts,
    reliability,
    roc,
    seeds,
    similarity,
    training,
)
from benchmark.reporting.tables import Table

TABLES: tuple[Callable[[Evidence], Table], ...] = (
    glance.systems,
    glance.decision,
    glance.parts,
    headline.answer,
    headline.costs,
    verdicts.verdicts,
    verdicts.verdicts_by_dataset,
    headline.main,
    headline.differences,
    headline.normality,
    detail.operating,
    detail.wordings,
    detail.per_finding,
    detail.subgroups,
    detail.grounding,
    detail.embedding,
    detail.seeds,
    detail.calibration,
    promises.promises,
    promises.seed_promises,
    detail.undefined,
    budget.ledger,
    releases.facts,
    releases.knowledge,
    cohorts.counts,
    cohorts.beside,
    cohorts.exclusions,
    cohorts.prevalence,
    text_filter.quality,
    provenance.build,
)


def build(found: Evidence, figures: Path) -> Document:
    """Make the tables, draw the figures into ``figures`` and compose the first page."""
    if not found.trained:
        return ranking.build(found, figures)
    asked = answer.pair(found)
    shown = asked[::-1] if asked else found.systems[:2]
    return Document(
        name="comparison",
        tables=tuple(make(found) for make in TABLES),
        images=drawn(
            forest=forest.draw(found, *asked, figures) if asked else None,
            seeds=seeds.draw(found, figures),
            findings=findings.draw(found, *asked, figures) if asked else None,
            roc=roc.draw(found, figures),
            reliability=reliability.draw(found, figures),
            histograms=histograms.draw(found, figures),
            similarity=similarity.draw(found, shown, figures),
            heatmaps=examples.heatmaps(found, shown, figures),
            contact=examples.contact_sheet(found, figures),
            prompts=prompts.draw(found, figures),
            training=training.curves(found, figures),
            budget=training.budget(found, figures),
        ),
        words=answer.compose(found),
    )

"""A report before it is typeset: words, tables and figures by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from benchmark.artifacts.evidence import Evidence
from benchmark.reporting import names, tables
from benchmark.reporting.figures.style import Plot
from benchmark.reporting.tables import Table


@dataclass(frozen=True)
class Document:
    """What one PDF is made of."""

    name: str
    """The PDF, without suffix, and the Typst file unless ``template`` names it."""
    tables: tuple[Table, ...]
    images: dict[str, Plot]
    words: dict[str, Any] = field(default_factory=dict)
    """Sentences composed from the numbers."""
    template: str = ""
    """The Typst file where it is not named like the PDF."""


def content(found: Evidence, document: Document) -> dict[str, Any]:
    """The JSON that the Typst file reads; tables without rows are left out, so that it can say so."""
    return {
        "mark": found.mark,
        "warning": sharing(found),
        "tables": {t.name: tables.to_typst(t) for t in document.tables if t.rows},
        "figures": {
            name: {"file": image.file, "caption": image.caption, "alt": image.alt}
            for name, image in document.images.items()
        },
        "words": document.words,
    }


def sharing(found: Evidence) -> str:
    """The warning of a report that shows patients' data because ``share_examples`` allows it; else nothing."""
    if not found.shared:
        return ""
    return (
        f"WARNING: share_examples is set for {names.join([names.dataset(name) for name in found.shared])}. This report "
        "shows images and identifiers of patients; the data use agreement determines who may see it."
    )


def drawn(**images: Plot | None) -> dict[str, Plot]:
    """The figures that could be drawn."""
    return {name: image for name, image in images.items() if image is not None}

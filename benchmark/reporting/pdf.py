"""Typst documents to PDF: the same content, the same bytes.

Typst is imported here alone. Fonts are those that the Typst package embeds and DejaVu Sans from
matplotlib, so nothing is downloaded and system fonts do not matter; the creation date is fixed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.common import files

DOCUMENTS = Path(__file__).parent / "documents"


def build(document: str, content: Mapping[str, Any], figures: Path, target: Path) -> None:
    """Typeset one document.

    Args:
        document: a file of ``documents/``, without ``.typ``.
        content: what the document reads with ``json("content.json")``.
        figures: folder of the SVG and PNG files that the content names.
        target: the PDF to write.
    """
    import matplotlib
    import typst

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for template in sorted(DOCUMENTS.glob("*.typ")):
            shutil.copy(template, root)
        shutil.copytree(figures, root / "figures")
        files.write_json(root / "content.json", content)
        pdf = typst.compile(
            str(root / f"{document}.typ"),
            root=str(root),
            font_paths=[str(Path(matplotlib.get_data_path()) / "fonts" / "ttf")],
            ignore_system_fonts=True,
            timestamp=0,
        )
    with files.replacing(target) as part:
        part.write_bytes(pdf)

"""How a message speaks of a release without quoting it: no cell, identifier or report text reaches a log."""

from __future__ import annotations

import re

SHORT = 4
"""Characters that can reveal nothing of a patient."""
LONGEST_NAME = 64
IDENTIFIER = re.compile(r"\d{4}|[0-9a-f]{8}")
"""What no published table or column is called."""


def cell_shown(cell: str) -> str:
    """A table's cell for a message: as it is up to ``SHORT`` characters, else its length.

    Messages reach logs, and a table whose columns have slipped holds identifiers and report texts where labels are
    expected: file, row and column lead its owner to the cell.
    """
    return f"'{cell}'" if len(cell) <= SHORT else f"a text of {len(cell)} characters"


def name_shown(name: str) -> str:
    """A column's or a file's name for a message; `...` where it may be the identifier or the text of a patient."""
    return "..." if len(name) > LONGEST_NAME or IDENTIFIER.search(name) else name


def row_of(position: int) -> str:
    """Human name of a table's row: the line of the file, the header being line 1."""
    return f"row {position + 2}"

"""The vocabulary of findings.toml, compiled: findings, broader labels, normal statements and where things lie."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files

NO_FINDING = "finding"
NO_ACUTE_FINDING = "acute finding"
"""What a global statement rules out ("normal chest"; "no acute disease"), as `There is no ...` says it."""

_TABLES = tomllib.loads(files("offclip").joinpath("findings.toml").read_text(encoding="utf-8"))


def _compile(table: str) -> dict[str, re.Pattern[str]]:
    """One pattern per name of a table: its wordings joined, whole words only, `<PART>` filled in."""
    patterns = {}
    for name, wordings in _TABLES[table].items():
        joined = wordings if isinstance(wordings, str) else "|".join(wordings)
        for part, text in _TABLES["parts"].items():
            joined = joined.replace(f"<{part}>", text)
        patterns[name] = re.compile(rf"(?<!\w)(?:{joined})(?!\w)")
    return patterns


FINDINGS = _compile("findings")
BROADER: dict[str, str] = _TABLES["broader"]
NORMAL_STATEMENTS = _compile("normal_statements")
GLOBAL_STATEMENTS = _compile("global_statements")
SIDES = _compile("sides")
ZONES = _compile("zones")
BONE_FINDINGS = frozenset(_TABLES["bones"]["findings"])
BONE_ZONES = frozenset(_TABLES["bones"]["zones"])

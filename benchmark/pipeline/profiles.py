"""``python -m benchmark profile NAME``: merge ``profiles/NAME.yaml`` into params.yaml.

Mappings are merged key by key, everything else is replaced; comments and order are kept (ruamel), so
that ``git diff`` shows what changed and DVC reruns just that.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from benchmark.common.errors import UserError, nearest, one_line
from benchmark.common.files import write_text
from benchmark.common.progress import say
from benchmark.pipeline import layout, settings

PROFILES = Path("profiles")
REPLACED = ("encoders.image", "encoders.text")
"""Mappings whose keys depend on their ``kind``: a profile replaces them whole."""


def merge(base: MutableMapping[str, Any], changes: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Merge ``changes`` into ``base`` in place; return the dotted keys whose value changed."""
    changed: list[str] = []
    for key, value in changes.items():
        where = f"{prefix}{key}"
        if isinstance(value, Mapping) and isinstance(base.get(key), MutableMapping) and where not in REPLACED:
            changed += merge(base[key], value, f"{where}.")
        elif base.get(key) != value:
            base[key] = value
            changed.append(where)
    return changed


def read(name: str, folder: Path = PROFILES) -> dict[str, Any]:
    """Read a profile by name.

    Raises:
        UserError: no such profile, or not a YAML mapping.
    """
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = sorted(found.stem for found in folder.glob("*.yaml"))
        hint = nearest(name, known) or "."
        raise UserError(f"There is no profile '{name}' in {folder}/ (there are: {', '.join(known) or 'none'}){hint}")
    try:
        values = YAML().load(path)
    except YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {_told(error)}.") from None
    except (OSError, ValueError) as error:  # ValueError: not UTF-8
        raise UserError(f"{path} cannot be read ({one_line(error)}); restore it from the repository.") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} should hold a mapping of params.yaml keys, found {type(values).__name__}.")
    return values


def merged(changes: Mapping[str, Any], path: Path) -> tuple[str, list[str]]:
    """The text of the params file at ``path`` with ``changes`` merged in, validated, and the changed keys.

    Raises:
        UserError: the file is missing, is no YAML mapping or has a key twice, or a value is wrong.
    """
    settings.load(path)  # its own problems first, in its own sentences
    yaml = YAML()
    yaml.width = 140
    yaml.preserve_quotes = True
    try:
        values = yaml.load(path)
    except YAMLError as error:  # a key that stands twice: the last one would win unseen
        raise UserError(f"{path} is not valid YAML: {_told(error)}.") from None
    changed = merge(values, changes)
    settings.parse(values, path)
    text = io.StringIO()
    yaml.dump(values, text)
    return text.getvalue(), changed


def apply(changes: Mapping[str, Any], path: Path) -> list[str]:
    """Merge ``changes`` into the params file at ``path``, validated before it is written; return the changed keys."""
    text, changed = merged(changes, path)
    write_text(path, text)
    return changed


def _told(error: YAMLError) -> str:
    """What is wrong and where, without ruamel's advice on how to allow it."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or " ".join(str(error).split())
    return f"{problem}, line {mark.line + 1}" if mark else str(problem)


def run(name: str, root: list[str] | None = None) -> None:
    """Merge a profile and the datasets' roots (``DATASET=PATH``) into params.yaml."""
    changes = read(name)
    for pair in root or []:
        dataset, separator, folder = pair.partition("=")
        if not separator or dataset not in layout.DATASETS:
            unknown = dataset not in layout.DATASETS
            hint = (unknown and nearest(dataset, layout.DATASETS)) or f"; datasets are {', '.join(layout.DATASETS)}."
            raise UserError(f"--root expects DATASET=PATH, found '{pair}'{hint}")
        changes.setdefault("datasets", {}).setdefault(dataset, {})["root"] = folder
    changed = apply(changes, layout.PARAMS)
    say(f"{layout.PARAMS}: {len(changed)} values changed: {', '.join(changed) or 'none'}")

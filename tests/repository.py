"""The repository's root, from which the tests read what it ships."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

REPOSITORY = Path(__file__).resolve().parents[1]


def figure_script(name: str) -> ModuleType:
    """A script of docs/figures/, as a module."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / f"docs/figures/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

"""Which models exist, told without importing them: a file of this folder that defines ``build`` is a model."""

from __future__ import annotations

import ast
from pathlib import Path


def names(folder: Path = Path(__file__).parent) -> list[str]:
    """The models in ``folder`` by the names of their files, sorted.

    Raises:
        ValueError: a file is no Python; the sentence names it and the line.
    """
    return [path.stem for path in sorted(folder.glob("*.py")) if _has_build(path)]


def _has_build(path: Path) -> bool:
    try:
        body = ast.parse(path.read_text(encoding="utf-8")).body
    except SyntaxError as error:
        raise ValueError(
            f"{path.parent.name}/{path.name}, line {error.lineno}: {error.msg}; fix it before running anything."
        ) from None
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a zero byte
        raise ValueError(
            f"{path.parent.name}/{path.name} cannot be read as Python ({error}); fix it, or move it out of the way."
        ) from None
    return any(isinstance(node, ast.FunctionDef) and node.name == "build" for node in body)

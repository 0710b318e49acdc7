"""Which source files a stage or a system reaches, and a hash of what they do.

Reached is what an import runs, wherever in a file the import stands, and the data files (YAML, CSV, Typst ...) that a
reached module names and that lie beside it. The hash is taken over the syntax tree without docstrings and comments:
better words rerun nothing. A module that is imported by a computed name, ``import_module(f"baselines.{model}")``, is
reached for the values of the name that are asked for.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmark.common import files
from benchmark.common.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("benchmark", "baselines", "offclip")
PLUMBING = frozenset(
    {
        "benchmark/__init__.py",
        "benchmark/common/cpus.py",
        "benchmark/common/errors.py",
        "benchmark/common/files.py",
        "benchmark/common/memory.py",
        "benchmark/common/progress.py",
        "benchmark/compute/watching.py",
        "benchmark/pipeline/layout.py",
        "benchmark/pipeline/settings.py",
        "offclip/__init__.py",
        "offclip/names.py",
    }
)
"""Reached by every stage and unable to change a number; settings are in the plans by value."""
Bound = Mapping[str, str | None]
"""Name in a computed import -> its value; None where the module is accounted for elsewhere."""


@dataclass(frozen=True)
class Reached:
    """A source file that an import runs."""

    path: str
    """Relative to the repository's root, with forward slashes."""
    whole: bool = True
    """False for a package that only lies on the way to one of its modules: its functions are not called then."""


def parse(path: str) -> ast.Module:
    """The syntax tree of a source file, by its path below the repository's root.

    Raises:
        UserError: it is no Python.
    """
    try:
        return ast.parse((ROOT / path).read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(f"{path}, line {error.lineno}: {error.msg}; fix it before running anything.") from None
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a zero byte
        raise UserError(f"{path} cannot be read as Python ({error}); fix it, or move it out of the way.") from None


def _module_files(module: str) -> list[Reached]:
    """Files that ``import module`` runs; none for a module outside the three packages (or a name inside one)."""
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return []
    found = []
    for depth in range(1, len(parts) + 1):
        path = Path(*parts[:depth])
        for candidate in (path / "__init__.py", path.with_suffix(".py")):
            found += [candidate.as_posix()] if (ROOT / candidate).is_file() else []
    return [Reached(path, path == found[-1]) for path in found]


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _nodes(tree: ast.AST, whole: bool) -> Iterator[ast.AST]:
    """Every node that can run; functions' bodies only if ``whole``, ``if TYPE_CHECKING`` never."""
    for child in ast.iter_child_nodes(tree):
        is_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
        if not _is_type_checking(child) and (whole or not is_function):
            yield child
            yield from _nodes(child, whole)


@dataclass(frozen=True)
class Imports:
    """What one source file reaches directly."""

    modules: frozenset[Reached]
    computed: frozenset[tuple[str, str]]
    """(prefix, name) of each ``import_module(f"<prefix>{<name>}")``."""
    data: frozenset[str]
    """Data files beside it, relative to the repository's root."""


@cache
def imports(source: Reached) -> Imports:
    """What a source file imports and names, wherever in it."""
    package = source.path.removesuffix(".py").split("/")[:-1]
    modules: set[Reached] = set()
    computed: set[tuple[str, str]] = set()
    data: set[str] = set()
    for node in _nodes(parse(source.path), source.whole):
        if isinstance(node, ast.Import):
            modules.update(file for name in node.names for file in _module_files(name.name))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            modules.update(file for name in node.names for file in _module_files(f"{module}.{name.name}"))
        elif isinstance(node, ast.JoinedStr):
            computed.update(_computed(node))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            data.update(_beside(source.path, node.value))
    return Imports(frozenset(modules), frozenset(computed), frozenset(data))


def _computed(node: ast.JoinedStr) -> Iterator[tuple[str, str]]:
    """``f"baselines.{model}"`` as (``baselines.``, ``model``), for strings that name a module of the packages."""
    match node.values:
        case [ast.Constant(value=str(prefix)), ast.FormattedValue(value=ast.Name(id=name))]:
            if prefix.split(".")[0] in PACKAGES and prefix.endswith("."):
                yield prefix, name


def _beside(path: str, text: str) -> Iterator[str]:
    """The data files that a string names: a file beside the module, or all in a folder beside it."""
    if not text or len(text) > 100 or not all(part.isidentifier() for part in text.replace(".", "/").split("/")):
        return
    target = (ROOT / path).parent / text
    for file in sorted(target.rglob("*")) if target.is_dir() else [target]:
        if file.is_file() and file.suffix not in (".py", ".pyc"):
            yield file.relative_to(ROOT).as_posix()


def reachable(entries: list[str], bound: Bound | None = None) -> list[str]:
    """Files whose content can change a result, sorted: the closure of ``imports`` without the plumbing.

    Args:
        entries: source files, relative to the repository's root.
        bound: values of the names in computed imports; a name that is not in it stands for every module that fits.
    """
    bound = bound or {}
    seen: set[Reached] = set()
    data: set[str] = set()
    waiting = [file for entry in entries for file in _module_files(entry.removesuffix(".py").replace("/", "."))]
    while waiting:
        file = waiting.pop()
        if file in seen or file.path in PLUMBING:
            continue
        seen.add(file)
        found = imports(file)
        waiting.extend(found.modules)
        data |= found.data
        for prefix, name in found.computed:
            folder = ROOT / prefix.replace(".", "/")
            values = [bound[name]] if name in bound else sorted(path.stem for path in folder.glob("*.py"))
            waiting.extend(reached for value in values if value for reached in _module_files(prefix + value))
    return sorted({file.path for file in seen} | data)


class _WithoutDocstrings(ast.NodeTransformer):
    """Removes every statement that is a bare string: docstrings of modules, classes, functions and attributes."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node


def digest(path: str) -> str:
    """SHA-256 of what a file does: of its syntax tree without docstrings and comments, or of a data file's bytes."""
    return _digest(path, files.sha256_file(ROOT / path))


@cache
def _digest(path: str, content: str) -> str:
    """The digest of a file while ``content`` is the hash of its bytes; many stages reach the same files."""
    if not path.endswith(".py"):
        return content
    return hashlib.sha256(ast.unparse(_WithoutDocstrings().visit(parse(path))).encode()).hexdigest()


def hashes(entries: list[str], bound: Bound | None = None) -> dict[str, str]:
    """Reached file -> digest."""
    return {path: digest(path) for path in reachable(entries, bound)}

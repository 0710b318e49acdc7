"""``python -m benchmark plan``: check params.yaml, and write what each system's training depends on.

DVC cannot look a model's file up from a system's name, so this stage does: ``plan/<system>.json`` holds the resolved
settings and the hash of every source file that the system's training reaches by import. Training depends
on that file alone, so an edit retrains what uses the edited code and nothing else. Runs on every
``dvc repro``, hence imports no torch.
"""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from baselines.config import encoder_options
from benchmark import files, layout, settings
from benchmark.errors import UserError, nearest
from benchmark.progress import say

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("benchmark", "baselines", "offclip")
PLUMBING = frozenset(
    f"benchmark/{name}.py"
    for name in (
        "__init__",
        "errors",
        "files",
        "layout",
        "memory",
        "progress",
        "settings",
        "tracking/__init__",
        "tracking/live",
    )
)
"""Reached by training and unable to change a weight; the settings themselves are in the plan by value."""
SWEPT = (".", "data", "data/raw", "data/cohort", "runs", "scores", "reports")
"""Where stages write. This stage runs first in every `dvc repro`."""
ENTRIES = ("offclip/objective.py", "benchmark/training/train.py")


@dataclass(frozen=True)
class Reached:
    """A source file that an import runs."""

    path: str
    """Relative to the repository's root, with forward slashes."""
    whole: bool = True
    """False for a package that only lies on the way to one of its modules: its functions are not called then."""


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


@cache
def imports(source: Reached) -> frozenset[Reached]:
    """Files of the three packages that a source file imports, wherever in it the import stands."""
    package = source.path.removesuffix(".py").split("/")[:-1]
    found: set[Reached] = set()
    for node in _nodes(_parse(source.path), source.whole):
        if isinstance(node, ast.Import):
            found.update(file for name in node.names for file in _module_files(name.name))
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found.update(file for name in node.names for file in _module_files(f"{module}.{name.name}"))
    return frozenset(found)


def _parse(path: str) -> ast.Module:
    try:
        return ast.parse((ROOT / path).read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise UserError(f"{path}, line {error.lineno}: {error.msg}; mend it before training.") from None
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a zero byte
        raise UserError(f"{path} cannot be read as Python ({error}); mend it, or move it out of the way.") from None


def reachable(entries: list[str]) -> list[str]:
    """Files whose code can change what is learnt, sorted: the closure of ``imports`` without the plumbing."""
    seen: set[Reached] = set()
    waiting = [file for path in entries for file in _module_files(path.removesuffix(".py").replace("/", "."))]
    while waiting:
        file = waiting.pop()
        if file not in seen and file.path not in PLUMBING:
            seen.add(file)
            waiting.extend(imports(file))
    return sorted({file.path for file in seen})


def models() -> list[str]:
    """The files of ``baselines/`` that define a ``build`` function, by name."""
    return [
        path.stem
        for path in sorted((ROOT / "baselines").glob("*.py"))
        if any(
            isinstance(node, ast.FunctionDef) and node.name == "build" for node in _parse(f"baselines/{path.name}").body
        )
    ]


def objectives() -> list[str]:
    """The keys of ``OBJECTIVES`` in offclip/objective.py."""
    node: Any
    for node in _parse("offclip/objective.py").body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(target, ast.Name) and target.id == "OBJECTIVES" and isinstance(node.value, ast.Dict):
            return [str(ast.literal_eval(key)) for key in node.value.keys if key]
    raise RuntimeError("offclip/objective.py has no OBJECTIVES dictionary")


def _check_training(chosen: settings.Settings) -> None:
    """Refuse combinations that each field alone allows."""
    training = chosen.training
    if training.precision == "float16" and training.device == "cpu":
        raise UserError("`training.precision: float16` does not work on a CPU; use bfloat16 or float32.")
    fractions = training.snapshots
    if any(not 0 < part < 1 for part in fractions) or fractions != sorted(set(fractions)):
        raise UserError(f"`training.snapshots` must be rising fractions between 0 and 1, found {fractions}.")
    sizes = training.batch_size if isinstance(training.batch_size, list) else [(0.0, training.batch_size)]
    starts = [start for start, _ in sizes]
    if not sizes or starts[0] != 0 or starts != sorted(set(starts)) or starts[-1] >= 1:
        raise UserError(f"`training.batch_size` must start at progress 0 and rise below 1, found {sizes}.")
    if min(size for _, size in sizes) < 2:
        raise UserError(
            f"`training.batch_size` must be at least 2 (a pair needs another to differ from), found {sizes}."
        )
    if training.chunk_size is not None and training.chunk_size < 1:
        raise UserError(
            f"`training.chunk_size` must be at least 1, found {training.chunk_size}; leave it out for none."
        )


def _check_data(chosen: settings.Settings) -> None:
    """Refuse data and texts that a stage would ask for in vain, hours later on a real release."""
    from benchmark.captions.prompters import prompter

    for dataset, options in chosen.datasets.items():
        if options.labels == "exact" and dataset != "open_i":
            raise UserError(f"`datasets.{dataset}.labels: exact` exists for open_i alone; use `published` or `all`.")
        if options.is_phantom and chosen.phantom.studies.get(dataset, 0) < 1:
            raise UserError(
                f"`phantom.studies.{dataset}` must be at least 1 where `datasets.{dataset}.root` is phantom."
            )
    for name in sorted(set(chosen.phantom.studies) - set(layout.DATASETS)):
        raise UserError(f"`phantom.studies` names '{name}', which is no dataset{nearest(name, layout.DATASETS)}")
    prompter(chosen.captions, credentialed=not chosen.datasets[layout.TRAINING_DATASET].is_phantom)


def _check_system(name: str, chosen: settings.Settings) -> None:
    """Refuse a system that names what does not exist."""
    system = chosen.systems[name]
    if not name.replace("_", "").isalnum() or name != name.lower():
        raise UserError(f"`systems.{name}`: a name is written in lower-case letters, digits and underscores.")
    if system.model not in (known := models()):
        raise UserError(
            f"`systems.{name}.model`: baselines/{system.model}.py is no baseline{nearest(system.model, known)}; "
            f"known: {', '.join(known)}."
        )
    if system.objective not in (known := objectives()):
        hint = nearest(system.objective, known)
        raise UserError(
            f"`systems.{name}.objective`: '{system.objective}' is unknown{hint}; known: {', '.join(known)}."
        )
    on_hub = system.checkpoint is not None and system.checkpoint.startswith("hf-hub:")
    if system.checkpoint is not None and not on_hub and not Path(system.checkpoint).exists():
        raise UserError(
            f"`systems.{name}.checkpoint`: {system.checkpoint} does not exist; put the released file there."
        )


def _check(chosen: settings.Settings) -> None:
    """Refuse what cannot be run, before anything is computed."""
    _check_training(chosen)
    for listed in ("compare", "ablation", "seeds", "ablation_seeds"):
        values = getattr(chosen, listed)
        if len(set(values)) < len(values):
            raise UserError(f"`{listed}` names something twice: {values}.")
    if both := set(chosen.compare) & set(chosen.ablation):
        raise UserError(f"`compare` and `ablation` both name {sorted(both)}; a system belongs to one of them.")
    if not chosen.compare or not chosen.seeds:
        raise UserError("`compare` and `seeds` must each name at least one.")
    try:
        encoder_options(chosen.encoders)
    except ValueError as error:
        raise UserError(f"params.yaml: {error}") from None
    init = chosen.encoders.get("image", {}).get("init")
    if init and Path(init).parent != layout.PRETRAINED and not Path(init).is_file():
        raise UserError(
            f"`encoders.image.init`: {init} does not exist; name a file of weights, or {layout.PRETRAINED}/"
            "image.safetensors, which stage `pretrain` makes."
        )
    for listed in ("references", "ablation_references"):
        for name in getattr(chosen.statistics, listed):
            if name not in chosen.systems:
                hint = nearest(name, chosen.systems)
                raise UserError(f"`statistics.{listed}` names '{name}', which `systems` does not define{hint}")
    _check_data(chosen)
    for name in [*chosen.compare, *chosen.ablation]:
        _check_system(name, chosen)


def plan(name: str, chosen: settings.Settings) -> dict[str, Any]:
    """The content of ``plan/<name>.json`` (docs/files.md)."""
    system = chosen.systems[name]
    code = {path: files.sha256_file(ROOT / path) for path in reachable([f"baselines/{system.model}.py", *ENTRIES])}
    return {
        "system": name,
        **system.model_dump(mode="json", exclude={"label"}),
        "encoders": chosen.encoders,
        "training": chosen.training.model_dump(mode="json"),
        "budget": chosen.budget.model_dump(mode="json"),
        "captions_seed": chosen.captions.seed,
        "prompted_share": chosen.captions.prompted_share,
        "phantom": chosen.datasets[layout.TRAINING_DATASET].is_phantom,
        "code": code,
        "code_hash": files.sha256_json(code),
    }


def run() -> None:
    """Write a plan for every system of ``compare`` and ``ablation``; rewrite only what changed.

    Raises:
        UserError: params.yaml asks for what cannot be run.
    """
    chosen = settings.load()
    _check(chosen)
    names = [*chosen.compare, *chosen.ablation]
    files.sweep(map(Path, SWEPT))
    folder = layout.plan("_").parent
    for stale in set(folder.glob("*")) - {layout.plan(name) for name in names}:
        shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    changed = []
    for name in names:
        path, content = layout.plan(name), plan(name, chosen)
        if not path.exists() or files.read_json(path) != content:
            files.write_json(path, content)
            changed.append(name)
    say(f"plan: {len(names)} systems, {len(changed)} changed{': ' + ', '.join(changed) if changed else ''}")

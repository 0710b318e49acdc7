"""What lies outside the repository, and a mark of it that changes when it does.

DVC hashes what its stages name and nothing that params.yaml points to: a release, a table of captions, released
weights. `plan` looks at them on every ``dvc repro`` and writes their marks into the plans of the stages that read
them; an unchanged mark reruns nothing.

A file's mark is its content where that is cheap (``SMALL``), else its size and the time of its last change. A folder's
is that of the names in it, with sizes and times of the first ``MOST_LOOKED_UP`` files, tables and shallow ones first. A
folder of thousands of folders (MIMIC-CXR's patients) is not walked: its names count.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.common import files
from benchmark.pipeline import pretrained
from benchmark.pipeline.settings import PHANTOM_ROOT, Settings

SMALL = 16 << 20
"""Bytes up to which a file is read."""
MOST_LOOKED_UP = 50_000
"""Files of a folder of which size and time are asked for."""
MOST_FOLDERS = 2_000
"""A folder that holds more folders is not descended into."""
BESIDE = {"chexpert": ("CheXlocalize",)}
"""What an adapter also looks for in the folder that holds the root."""
TABLES = (".csv", ".csv.gz", ".json", ".json.gz", ".tgz", ".tar.gz", ".zip", ".txt")
"""Endings of what is no image: always looked up."""


def of_key(key: str, chosen: Settings) -> dict[str, str]:
    """Path -> mark of everything outside that the settings at a dotted key of params.yaml point to."""
    parts = key.split(".")
    match parts:
        case ["datasets", dataset] if not chosen.datasets[dataset].is_phantom:
            return _marks(_of_dataset(dataset, chosen))
        case ["captions"]:
            return _marks([chosen.captions.table])
        case ["encoders", *names]:
            return _marks(options.get("init") for name, options in chosen.encoders.items() if name in (names or [name]))
        case ["systems", system]:
            own = chosen.systems[system]
            starts = (options.get("init") for options in chosen.encoders_of(system).values())
            return _marks([*starts, own.checkpoint, *_paths_in(own.model_options)])
    return {}


def _of_dataset(dataset: str, chosen: Settings) -> Iterator[str | None]:
    """The root of a release and what is read beside it."""
    options = chosen.datasets[dataset]
    yield options.root
    yield from (f"{options.root}/../{name}" for name in BESIDE.get(dataset, ()))
    yield options.grounding
    yield options.reports


def _paths_in(options: Any) -> Iterator[str]:
    """Texts among a model's options that are paths: they hold a separator."""
    if isinstance(options, dict):
        for value in options.values():
            yield from _paths_in(value)
    elif isinstance(options, str) and "/" in options:
        yield options


def _marks(paths: Any) -> dict[str, str]:
    """Mark of each path that exists; what a stage of the pipeline makes is compared by DVC."""
    found = {}
    for text in paths:
        if isinstance(text, str) and text != PHANTOM_ROOT and not pretrained.is_made_here(text):
            path = Path(text).expanduser()
            if path.exists():
                found[text] = of_folder(path) if path.is_dir() else of_file(path)
    return found


def of_file(path: Path) -> str:
    """The mark of a file."""
    state = path.stat()
    if state.st_size <= SMALL and path.is_file():
        return f"sha256 {files.sha256_file(path)}"
    return f"{state.st_size} bytes, changed {state.st_mtime_ns}"


def of_folder(root: Path) -> str:
    """The mark of a folder: SHA-256 over the names below it, with the sizes and times that are cheap to ask for."""
    digest = hashlib.sha256()
    looked_up = 0
    seen: set[tuple[int, int]] = set()
    level = [root]
    while level:
        below: list[Path] = []
        for folder in level:
            names, inner, looked_up = _listed(folder, looked_up, seen)
            digest.update("\n".join([folder.relative_to(root).as_posix(), *names, ""]).encode("utf-8", "replace"))
            below += inner
        level = below
    return f"sha256 {digest.hexdigest()}"


def _listed(folder: Path, looked_up: int, seen: set[tuple[int, int]]) -> tuple[list[str], list[Path], int]:
    """A line for each entry of a folder, the folders to walk, and how many files were looked up so far."""
    lines: list[str] = []
    inner: list[Path] = []
    try:
        own = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:  # no right to list it, or gone meanwhile: that it is so is all there is to say
        return [f"not listed: {error.strerror}"], [], looked_up
    if (own.st_dev, own.st_ino) in seen:  # links that lead in a circle
        return ["seen"], [], looked_up
    seen.add((own.st_dev, own.st_ino))
    for entry in entries:
        line = entry.name
        if entry.is_dir():
            inner.append(folder / entry.name)
        elif looked_up < MOST_LOOKED_UP or entry.name.endswith(TABLES):
            looked_up += 1
            try:
                state = entry.stat()
                line += f" {state.st_size} {state.st_mtime_ns}"
            except OSError:  # a link that leads nowhere
                line += " -"
        lines.append(line)
    return lines, inner if len(inner) <= MOST_FOLDERS else [], looked_up

"""Whole files or none: every write goes to a temporary neighbour and is renamed into place.

``os.replace`` is atomic on one file system, so a reader (or a run resumed after ``kill -9``) never
meets half a file. The temporary name starts with a dot, holds the machine and process that write it and ends in
``.part``; what a killed process left is removed by the next one of that machine that writes into that folder.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.common.errors import UserError

if TYPE_CHECKING:
    import pandas as pd


MACHINE = re.sub(r"[^A-Za-z0-9-]", "-", platform.node())
TEMPORARY = re.compile(rf"\..+\.{MACHINE}\.([1-9][0-9]*)\.part")
"""``.<name>.<machine>.<process>.part`` of this machine: whether another's process lives cannot be seen from here."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it onto ``path`` when the block succeeds.

    Works for a file and for a directory (the block creates which it wants). On an exception the
    temporary is removed and what stood at ``path`` is left as it was; after ``kill -9`` the next
    process that writes into the folder removes it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent.resolve())
    part = temporary(path)
    try:
        yield part
        if part.is_dir():
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            os.replace(part, path)
        else:
            with open(part, "rb") as handle:
                os.fsync(handle.fileno())
            os.replace(part, path)
    finally:
        _remove(part)


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Give a file that nobody writes in place a second name; a copy where the file system cannot link."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def temporary(path: Path) -> Path:
    """The hidden neighbour of ``path`` that this process writes before it renames it."""
    return path.parent / f".{path.name}.{MACHINE}.{os.getpid()}.part"


def _remove(part: Path) -> None:
    """Remove a temporary, file or folder, if it is still there."""
    if part.is_dir():
        shutil.rmtree(part, ignore_errors=True)
    else:
        part.unlink(missing_ok=True)


def sweep(folders: Iterable[Path]) -> None:
    """Remove what killed processes left in the folders: a stage that DVC restores writes nothing there itself."""
    for folder in filter(Path.is_dir, folders):
        _sweep(folder.resolve())


@functools.cache  # once a process: a folder of answers can hold hundreds of thousands
def _sweep(folder: Path) -> None:
    """Remove the temporaries of this machine's processes that are gone."""
    for entry in os.scandir(folder):
        if (found := TEMPORARY.fullmatch(entry.name)) and not _runs(int(found[1])):
            _remove(Path(entry.path))


def _runs(process: int) -> bool:
    """Whether another process of this machine bears the number."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        pass
    return True


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, keys sorted, two-space indent, NaN refused: the same value, the same bytes."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing or is not JSON; the sentence names it.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing; run `dvc repro` to make it.") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}); delete it and run `dvc repro` again.") from None


def write_parquet(path: Path, table: pd.DataFrame) -> None:
    """Write a table as zstd parquet atomically, without its index."""
    with replacing(path) as part:
        table.to_parquet(part, index=False, compression="zstd")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV atomically, floats with 17 significant digits (they read back the same)."""
    with replacing(path) as part:
        table.to_csv(part, index=False, float_format="%.17g", lineterminator="\n")


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, in hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()

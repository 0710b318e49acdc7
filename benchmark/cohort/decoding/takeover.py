"""Which images need no decoding because their file is the one that they were decoded from.

A row is taken over when path, size and time of its file are what they were; of a sample the content is compared as
well, and when one of these differs although size and time do not, nothing is taken over: then sizes and times say
nothing here. An array that was made for another size, policy, root or by other code gives no rows at all.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmark.common import files
from benchmark.common.progress import say

TODO, DONE, FAILED = 0, 1, 2
RECORD = np.dtype(
    [
        ("state", "u1"),
        ("height", "i4"),
        ("width", "i4"),
        ("size", "i8"),
        ("modified", "i8"),
        ("sha256", "S64"),
        ("remarks", "u1"),
    ]
)
"""Of each row: state, height and width of the original (pixels), then its file: size (bytes), time of its last change
(ns), SHA-256 ("" outside the sample), and what was remarkable in decoding (``decode.Remark``)."""
ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Made:
    """What pixels depend on beside the files."""

    root: str
    size: int
    policy: str
    code: str = ""
    """Hash of the code and the libraries that decode."""


@dataclass(frozen=True)
class Earlier:
    """An array that was decoded before, whole or in part, with one row of ``record`` each."""

    made: Made
    paths: list[str]
    record: NDArray[np.void]
    images: Path


def describe(folder: Path, made: Made, paths: Sequence[str]) -> None:
    """Write beside a record what its rows are; the key last, without which the folder counts for nothing."""
    files.write_parquet(folder / "paths.parquet", pd.DataFrame({"path": list(paths)}))
    files.write_json(folder / "key.json", asdict(made))


def read(folder: Path, images: Path) -> Earlier | None:
    """What ``describe`` and the record say; None where a file is missing, spoilt, or does not fit the others."""
    try:
        made = Made(**files.read_json(folder / "key.json"))
        paths = list(pd.read_parquet(folder / "paths.parquet")["path"])
        record = np.load(folder / "record.npy")
        shape = np.load(images, mmap_mode="r").shape
    except Exception:  # whatever Arrow, NumPy and JSON say of a spoilt file: it is decoded anew
        return None
    fits = record.dtype == RECORD and len(record) == len(paths) and shape == (len(paths), made.size, made.size)
    return Earlier(made, paths, record, images) if fits else None


def keep(folder: Path, earlier: Earlier) -> None:
    """Remember a finished array, by its content, in ``folder``."""
    with files.replacing(folder) as part:
        part.mkdir()
        np.save(part / "record.npy", earlier.record)
        files.write_json(part / "content.json", files.sha256_file(earlier.images))
        describe(part, earlier.made, earlier.paths)


def finished(folder: Path, images: Path) -> Earlier | None:
    """The present array, when it is the one that ``keep`` remembered."""
    found = read(folder, images)
    try:
        known = found is not None and files.read_json(folder / "content.json") == files.sha256_file(images)
    except Exception:
        return None
    return found if known else None


def _older(part: Path) -> Path:
    return part.with_name(f"{part.name}.older")


def aside(part: Path) -> Earlier | None:
    """Put what an earlier run left in ``part`` out of the way of a new one, and return it.

    Where something was put aside before, that run was killed while it took rows over: the older folder holds more.
    """
    older = _older(part)
    if older.exists():
        shutil.rmtree(part, ignore_errors=True)
    elif part.exists():
        part.rename(older)
    found = read(older, older / "images.npy")
    if found is None:
        forget(part)
    return found


def forget(part: Path) -> None:
    """Remove what was put aside."""
    shutil.rmtree(_older(part), ignore_errors=True)


def take_over(
    earlier: Earlier,
    root: Path,
    paths: Sequence[str],
    states: pd.DataFrame,
    images: NDArray[np.uint8],
    record: NDArray[np.void],
) -> int:
    """Copy the rows whose file is still the same into ``images`` and ``record``; how many.

    Args:
        earlier: made as the new array is.
        root: folder the paths are relative to.
        paths: one path a row of the new array.
        states: size and time of their files now (``disk.look_up``).
        images: the new array, written.
        record: the new record, written; rows that are done already stay.
    """
    at = pd.Series(np.arange(len(earlier.paths)), index=earlier.paths).reindex(list(paths))
    there = at.notna().to_numpy() & (record["state"] != DONE)
    new = np.flatnonzero(there)
    old = at.to_numpy()[new].astype(np.int64)
    before = earlier.record[old]
    same = before["state"] == DONE
    for name in ("size", "modified"):
        same &= before[name] == states[name].to_numpy()[new]
    new, old = new[same], old[same]
    for row in old[earlier.record["sha256"][old] != b""]:
        path = root / earlier.paths[row]
        if files.sha256_file(path).encode() != earlier.record["sha256"][row]:
            say("an image changed and its size and time did not: all are decoded anew")
            return 0
    source = np.load(earlier.images, mmap_mode="r")
    for start in range(0, len(new), ROWS_AT_ONCE):
        images[new[start : start + ROWS_AT_ONCE]] = source[old[start : start + ROWS_AT_ONCE]]
    images.flush()  # type: ignore[attr-defined]  # the array is a memory map
    record[new] = earlier.record[old]
    return len(new)

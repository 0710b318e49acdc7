"""Images -> one memory-mapped uint8 array, decoded by several processes, resumable, never half-written.

The array grows in a hidden neighbour of the output (``.<dataset>.part/``) beside a row-by-row record of what is
done; a run that was killed resumes from there, unless the list of images, the size or the policy has changed. Only
a complete array is handed over.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.cohort.decoding import decode
from benchmark.cohort.decoding.decode import Policy, UnreadableImage
from benchmark.common import files, memory
from benchmark.common.progress import with_progress

TODO, DONE, FAILED = 0, 1, 2
IMAGES_PER_TASK = 8
RECORD = np.dtype([("state", "u1"), ("height", "i4"), ("width", "i4")])


@dataclass(frozen=True)
class Outcome:
    """What became of each image."""

    images: Path
    """The array of *all* rows, uint8 (N, S, S); rows that failed are zero."""
    heights: NDArray[np.int32]
    widths: NDArray[np.int32]
    failures: dict[int, str]
    """Row -> reason."""


@dataclass(frozen=True)
class _Task:
    """A run of rows for one worker."""

    images: str
    first: int
    paths: tuple[str, ...]
    todo: tuple[bool, ...]
    policy: Policy
    size: int


def _decode(task: _Task) -> list[tuple[int, int, int, str]]:
    """Decode a task's images into the shared array; (row, height, width, reason of failure or "") each."""
    images = np.lib.format.open_memmap(task.images, mode="r+")
    done = []
    for row, (path, todo) in enumerate(zip(task.paths, task.todo, strict=True), start=task.first):
        if not todo:
            continue
        try:
            images[row], height, width = decode.load(Path(path), task.policy, task.size)
            done.append((row, height, width, ""))
        except UnreadableImage as error:
            done.append((row, 0, 0, str(error)))
    images.flush()
    return done


def _set_up_worker() -> None:
    """Workers are the parallelism, so OpenCV keeps to one thread; the pixels of one image make room for the next."""
    import cv2

    cv2.setNumThreads(1)
    memory.keep_freed()


def _results(tasks: Sequence[_Task], workers: int) -> Iterator[list[tuple[int, int, int, str]]]:
    if workers == 1 or len(tasks) <= 1:
        yield from map(_decode, tasks)
        return
    # Spawned, not forked: a fork copies the locks of whatever threads run (OpenMP, Arrow) and can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=_set_up_worker) as pool:
        yield from pool.map(_decode, tasks)


def build(
    root: Path, paths: Sequence[str], part: Path, *, size: int, policy: Policy, workers: int, what: str = "images"
) -> Outcome:
    """Decode every image once; resume where an interrupted run stopped.

    Args:
        root: folder the paths are relative to.
        paths: one path a row.
        part: folder of the unfinished array; the caller removes it when the result is in place.
        size: side of a cached image, pixels.
        policy: decode policy.
        workers: processes.
        what: words for the progress line.

    Returns:
        The array's file inside ``part`` and what became of each row. The result does not depend on ``workers``.
    """
    key = files.sha256_json({"root": str(root), "paths": list(paths), "size": size, "policy": policy})
    images, record_file, key_file = part / "images.npy", part / "record.npy", part / "key.json"
    whole = images.exists() and record_file.exists() and key_file.exists()
    if not (whole and files.read_json(key_file) == key):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _allocated(images, np.dtype(np.uint8), (len(paths), size, size)).flush()
        _allocated(record_file, RECORD, (len(paths),)).flush()
        files.write_json(key_file, key)
    record = np.lib.format.open_memmap(record_file, mode="r+")
    todo = record["state"] != DONE  # failed ones are tried again: the user may have fixed them
    starts = [at for at in range(0, len(paths), IMAGES_PER_TASK) if todo[at : at + IMAGES_PER_TASK].any()]
    tasks = [
        _Task(
            images=str(images),
            first=at,
            paths=tuple(os.fspath(root / path) for path in paths[at : at + IMAGES_PER_TASK]),
            todo=tuple(todo[at : at + IMAGES_PER_TASK].tolist()),
            policy=policy,
            size=size,
        )
        for at in starts
    ]
    failures: dict[int, str] = {}
    for result in with_progress(_results(tasks, workers), f"{what} (x{IMAGES_PER_TASK})", total=len(tasks)):
        for row, height, width, reason in result:
            record[row] = (FAILED if reason else DONE, height, width)
            if reason:
                failures[row] = reason
        record.flush()
    return Outcome(images, record["height"].copy(), record["width"].copy(), failures)


def _allocated(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.memmap:
    """A new memory-mapped array whose blocks are on the disk: a full disk is an OSError here, not a SIGBUS later."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "rb+") as handle:
            os.posix_fallocate(handle.fileno(), 0, os.fstat(handle.fileno()).st_size)
    return array


def keep_rows(images: Path, kept: NDArray[np.int64], target: Path) -> None:
    """Put the array at ``target`` as well; where rows are left out, copy the kept ones in order instead.

    A second name for the same file, no move: a run killed before all is in place still finds what it decoded.
    """
    source = np.load(images, mmap_mode="r")
    if len(kept) == len(source):
        try:
            os.link(images, target)
        except OSError:  # some network file systems know no hard links
            os.replace(images, target)
        return
    chosen = _allocated(target, np.dtype(np.uint8), (len(kept), *source.shape[1:]))
    for at in range(0, len(kept), 1024):
        chosen[at : at + 1024] = source[kept[at : at + 1024]]
    chosen.flush()

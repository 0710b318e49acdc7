"""Images -> one memory-mapped uint8 array, decoded by several processes, resumable, never half-written.

The array grows in a hidden neighbour of the output (``.<dataset>.part/``) beside a row-by-row record of what is
done and of the file it was made from. What was decoded before, by a run that was killed or by the one that made the
present array, is taken over row by row where its file is still the same (takeover.py). Only a complete array is
handed over.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.cohort import disk
from benchmark.cohort.decoding import decode, takeover
from benchmark.cohort.decoding.decode import Policy, UnreadableImage
from benchmark.cohort.decoding.takeover import DONE, FAILED, RECORD, Earlier, Made
from benchmark.common import files, memory
from benchmark.common.progress import say, with_progress

IMAGES_PER_TASK = 8
SAMPLED = 100
"""Of about so many images, evenly spread, the content is remembered beside size and time."""


@dataclass(frozen=True)
class Outcome:
    """What became of each image."""

    images: Path
    """The array of *all* rows, uint8 (N, S, S); rows that failed are zero."""
    record: NDArray[np.void]
    """``takeover.RECORD``, one row an image."""
    failures: dict[int, str]
    """Row -> reason."""
    decoded: int
    """Images decoded now; the others were taken over."""

    @property
    def heights(self) -> NDArray[np.int32]:
        """Of the originals, pixels; 0 where decoding failed."""
        return self.record["height"].copy()

    @property
    def widths(self) -> NDArray[np.int32]:
        """Of the originals, pixels; 0 where decoding failed."""
        return self.record["width"].copy()


@dataclass(frozen=True)
class _Task:
    """Some rows for one worker."""

    images: str
    rows: tuple[int, ...]
    paths: tuple[str, ...]
    hashed: tuple[bool, ...]
    policy: Policy
    size: int


_Result = tuple[int, int, int, int, str, str]
"""Row, height, width, remarks, SHA-256 of the file (sampled rows), reason of failure or ""."""


def _decode(task: _Task) -> list[_Result]:
    """Decode a task's images into the shared array."""
    images = np.lib.format.open_memmap(task.images, mode="r+")
    done: list[_Result] = []
    for row, path, hashed in zip(task.rows, task.paths, task.hashed, strict=True):
        try:
            images[row], height, width, remarks = decode.read(Path(path), task.policy, task.size)
            done.append((row, height, width, remarks, files.sha256_file(Path(path)) if hashed else "", ""))
        except UnreadableImage as error:
            images[row] = 0
            done.append((row, 0, 0, 0, "", str(error)))
    images.flush()
    return done


def _set_up_worker() -> None:
    """Workers are the parallelism, so OpenCV keeps to one thread; the pixels of one image make room for the next."""
    import cv2

    cv2.setNumThreads(1)
    memory.keep_freed()


def _results(tasks: Sequence[_Task], workers: int) -> Iterator[list[_Result]]:
    if workers == 1 or len(tasks) <= 1:
        yield from map(_decode, tasks)
        return
    # Spawned, not forked: a fork copies the locks of whatever threads run (OpenMP, Arrow) and can hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(tasks)), mp_context=context, initializer=_set_up_worker) as pool:
        yield from pool.map(_decode, tasks)


def build(
    root: Path,
    paths: Sequence[str],
    part: Path,
    *,
    size: int,
    policy: Policy,
    workers: int,
    what: str = "images",
    made: Made | None = None,
    finished: Earlier | None = None,
    shards: Sequence[Earlier] = (),
) -> Outcome:
    """Decode every image once; take over what was decoded before from files that are still the same.

    Args:
        root: folder the paths are relative to.
        paths: one path a row.
        part: folder of the unfinished array; the caller removes it when the result is in place.
        size: side of a cached image, pixels.
        policy: decode policy.
        workers: processes.
        what: words for the progress line.
        made: what else the pixels depend on; another's rows are never taken over.
        finished: the present array.
        shards: what others have decoded of these rows (shards.py).

    Returns:
        The array's file inside ``part`` and what became of each row. The result does not depend on ``workers``.
    """
    made = made or Made(str(root), size, policy)
    states = disk.look_up(root, paths)
    unfinished = takeover.aside(part)
    images, record = _prepared(part, made, paths)
    decoded_before = 0
    for earlier in (unfinished, *shards, finished):
        if earlier is not None and earlier.made == made:
            decoded_before += takeover.take_over(earlier, root, paths, states, np.load(images, mmap_mode="r+"), record)
    takeover.forget(part)
    if decoded_before:
        say(f"{what}: {decoded_before} of {len(paths)} images taken over, their files are unchanged")
    waiting = np.flatnonzero(record["state"] != DONE)  # failed ones are tried again: the user may have fixed them
    record["size"][waiting] = states["size"].to_numpy()[waiting]
    record["modified"][waiting] = states["modified"].to_numpy()[waiting]
    step = max(len(paths) // SAMPLED, 1)
    tasks = [
        _Task(
            images=str(images),
            rows=tuple(rows.tolist()),
            paths=tuple(os.fspath(root / paths[row]) for row in rows),
            hashed=tuple((rows % step == 0).tolist()),
            policy=policy,
            size=size,
        )
        for rows in (waiting[at : at + IMAGES_PER_TASK] for at in range(0, len(waiting), IMAGES_PER_TASK))
    ]
    failures: dict[int, str] = {}
    for result in (
        with_progress(_results(tasks, workers), f"{what} (x{IMAGES_PER_TASK})", total=len(tasks)) if tasks else ()
    ):
        for row, height, width, remarks, digest, reason in result:
            record["height"][row], record["width"][row], record["remarks"][row] = height, width, remarks
            record["sha256"][row] = digest.encode()
            record["state"][row] = FAILED if reason else DONE  # last: a row is done when all of it is written
            if reason:
                failures[row] = reason
        record.flush()
    return Outcome(images, np.array(record), failures, len(waiting))


def _prepared(part: Path, made: Made, paths: Sequence[str]) -> tuple[Path, np.memmap]:
    """A new unfinished array and its record, all rows to do."""
    images = part / "images.npy"
    part.mkdir(parents=True)
    _allocated(images, np.dtype(np.uint8), (len(paths), made.size, made.size)).flush()
    record = _allocated(part / "record.npy", RECORD, (len(paths),))
    record.flush()
    takeover.describe(part, made, paths)
    return images, record


def _allocated(path: Path, dtype: np.dtype, shape: tuple[int, ...]) -> np.memmap:
    """A new memory-mapped array whose blocks are on the disk: a full disk is an OSError here, not a SIGBUS later."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    if hasattr(os, "posix_fallocate"):
        with open(path, "rb+") as handle:
            os.posix_fallocate(handle.fileno(), 0, os.fstat(handle.fileno()).st_size)
    return array


def keep_rows(images: Path, kept: NDArray[np.int64], target: Path) -> None:
    """Put the array at ``target`` as well; where rows are left out, copy the kept ones in order instead.

    A second name for the same file where the file system can link, else a copy: a run killed before all is in place
    still finds what it decoded.
    """
    source = np.load(images, mmap_mode="r")
    if len(kept) == len(source):
        files.link_or_copy(images, target)
        return
    chosen = _allocated(target, np.dtype(np.uint8), (len(kept), *source.shape[1:]))
    for at in range(0, len(kept), 1024):
        chosen[at : at + 1024] = source[kept[at : at + 1024]]
    chosen.flush()

"""A run in progress: ``runs/.state/<system>-<seed>/`` holds its last checkpoint and the files it will leave.

It lies outside the folder that DVC deletes before a stage, so ``kill -9`` and ``dvc repro`` again resume where
the checkpoint was. Checkpoints are whole or absent (files.replacing), are read without unpickling
code (``weights_only``), and belong to one plan, seed and data: another's is refused. Only finite
losses are ever checkpointed, so the last one is always good.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark.artifacts import snapshots
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import say
from benchmark.pipeline import layout

MOST_OF_THE_TIME = 0.02
"""Share of the training's time that writing checkpoints may take."""
LEAST_SECONDS, MOST_SECONDS = 30.0, 600.0
"""Between two checkpoints: no more often than is of use; no more than this is lost when a process is killed."""


class Interval:
    """When the next checkpoint is due: as often as its measured cost allows, or at a fixed interval."""

    def __init__(self, fixed: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Start counting.

        Args:
            fixed: seconds between two checkpoints; None to follow what writing one costs.
            clock: seconds; replaced in tests.
        """
        self._fixed, self._clock = fixed, clock
        self._seconds = LEAST_SECONDS if fixed is None else fixed
        self._written = clock()

    def due(self) -> bool:
        """Whether a checkpoint should be written now."""
        return self._clock() - self._written >= self._seconds

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around the writing of a checkpoint: measures it and counts from its end."""
        began = self._clock()
        yield
        self._written = self._clock()
        if self._fixed is None:
            self._seconds = min(max((self._written - began) / MOST_OF_THE_TIME, LEAST_SECONDS), MOST_SECONDS)


@contextmanager
def room_on_disk(path: Path) -> Iterator[None]:
    """Turn a full disk into a sentence."""
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch.save wraps the operating system's error
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error)
        # PyTorch's zip writer reports a short write without its cause; a nearly full disk is then the cause.
        short = isinstance(error, RuntimeError) and shutil.disk_usage(path.parent).free < 1 << 20
        if not (full or short):
            raise
        raise UserError(
            f"The disk is full: {path} could not be written; the last good checkpoint is kept. "
            "Free some space and run the same command again."
        ) from error


def _make_compact(folder: Path) -> None:
    """Replace each snapshot by its difference from the result."""
    from safetensors.numpy import load_file

    result = load_file(folder / "model.safetensors")
    for exact in sorted(folder.glob("snapshot-*.safetensors")):
        snapshots.write(exact.with_suffix(snapshots.SUFFIX), load_file(exact), result)
        exact.unlink()


@dataclass(frozen=True)
class StateFolder:
    """Where one run keeps its state, and what it must match."""

    system: str
    seed: int
    identity: str
    """Hash of plan, seed and training data."""

    @property
    def root(self) -> Path:
        """``runs/.state/<system>-<seed>``."""
        final = layout.run(self.system, self.seed)
        return final.parent / ".state" / final.name

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint."""
        return self.root / "checkpoint.pt"

    @property
    def outputs(self) -> Path:
        """Files of the finished run, before they are moved into place."""
        return self.root / "outputs"

    def save(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint."""
        with room_on_disk(self.checkpoint), files.replacing(self.checkpoint) as part:
            torch.save({"identity": self.identity, **state}, part)

    def load(self) -> dict[str, Any] | None:
        """The checkpoint to resume from; None where there is none, or where it is of another plan or data (said)."""
        if not self.checkpoint.exists():
            shutil.rmtree(self.outputs, ignore_errors=True)  # snapshots of a run that was killed before its first one
            return None
        try:
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        except Exception as error:
            raise UserError(
                f"{self.checkpoint} cannot be read ({type(error).__name__}); delete {self.root} to start again."
            ) from error
        if state.pop("identity", None) != self.identity:
            say(f"{self.checkpoint} belongs to another plan, seed or data: ignored, training from the start.")
            shutil.rmtree(self.root)
            return None
        return state

    def finish(self, compact: bool = False) -> None:
        """Move the outputs into place, then forget the state.

        Args:
            compact: keep the snapshots in little space.
        """
        final = layout.run(self.system, self.seed)
        for unfinished in final.parent.glob(f".{final.name}.*.part"):  # of a process killed right here
            shutil.rmtree(unfinished)
        with room_on_disk(final), files.replacing(final) as part:
            shutil.copytree(self.outputs, part, copy_function=files.link_or_copy)
            if compact:
                _make_compact(part)
        shutil.rmtree(self.root)
        if not any(self.root.parent.iterdir()):
            self.root.parent.rmdir()

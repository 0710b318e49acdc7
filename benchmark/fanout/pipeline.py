"""What DVC knows: which items there are, in which order, which are out of date; and handing over what was made.

DVC stays the one that decides. It is asked through its Python interface, which reads dvc.yaml once instead of once an
item; what lies between two levels of items (prepare, captions) is run by `dvc repro` itself.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark.common import files
from benchmark.common.errors import UserError, nearest, one_line
from benchmark.fanout.item import PARALLEL, Item, command_of

Inputs = dict[str, str]
"""Path of a dependency -> hash of its content."""


class Pipeline:
    """The repository of the working directory, as DVC sees it."""

    def __init__(self) -> None:
        """Open it.

        Raises:
            UserError: there is no DVC repository here.
        """
        from dvc.exceptions import DvcException
        from dvc.repo import Repo

        logging.getLogger("dvc").setLevel(logging.ERROR)  # it says of every item that dvc.lock was written
        try:
            self._repo = Repo(".")
            self._graph = self._repo.index.graph
        except DvcException as error:
            raise UserError(f"DVC cannot read the pipeline here ({one_line(error)}); run from its root.") from None
        self._stages = {stage.addressing: stage for stage in self._graph}

    def groups(self) -> dict[str, list[str]]:
        """Stage of dvc.yaml -> names of its items, for the stages whose items can run side by side."""
        found: dict[str, list[str]] = {}
        for name, stage in self._stages.items():
            if command_of(str(stage.cmd)) in PARALLEL:
                found.setdefault(name.partition("@")[0], []).append(name)
        return {group: sorted(names) for group, names in sorted(found.items())}

    def choose(self, wanted: Sequence[str]) -> list[Item]:
        """The items that ``wanted`` names (stages, or single items) and those that they need; all where it is empty.

        Raises:
            UserError: it names something else.
        """
        groups = self.groups()
        chosen: list[str] = []
        for word in wanted or groups:
            if word in groups:
                chosen += groups[word]
            elif any(word in names for names in groups.values()):
                chosen.append(word)
            else:
                known = [*groups, *(name for names in groups.values() for name in names)]
                raise UserError(
                    f"'{word}' is no stage whose items run side by side; there are {', '.join(groups)}, or one item of "
                    f"them such as {groups[next(iter(groups))][0]}{nearest(word, known) or '.'}"
                )
        parallel = {name for names in groups.values() for name in names}
        chosen += sorted(set().union(*(self._all_before(name) for name in chosen)) & parallel)
        names = set(chosen)
        return [
            Item(name, str(self._stages[name].cmd), frozenset(self._before(name) & names))
            for name in dict.fromkeys(chosen)
        ]

    def _before(self, name: str) -> set[str]:
        """Stages whose outputs an item reads."""
        return {stage.addressing for stage in self._graph.successors(self._stages[name])}

    def _all_before(self, name: str) -> set[str]:
        import networkx

        return {stage.addressing for stage in networkx.descendants(self._graph, self._stages[name])}

    def levels(self, items: Iterable[Item]) -> list[list[Item]]:
        """The items in waves: what lies between two waves is no item, so that DVC has to run it first.

        Training reads the cohort, which is prepared from the decoded images: two waves. Scoring reads what training
        leaves and nothing in between: the wave of training, where each item waits for its own alone.
        """
        by_name = {item.name: item for item in items}
        depth: dict[str, int] = {}

        def level(name: str) -> int:
            if name not in depth:
                near = self._before(name)
                far = {above for other in near - set(by_name) for above in {other} | self._all_before(other)}
                same = max((level(other) for other in near & set(by_name)), default=0)
                later = max((level(other) + 1 for other in far & set(by_name)), default=0)
                depth[name] = max(same, later)
            return depth[name]

        waves: dict[int, list[Item]] = {}
        for name, item in by_name.items():
            waves.setdefault(level(name), []).append(item)
        return [waves[number] for number in sorted(waves)]

    def between(self, items: Iterable[Item], failed: Iterable[str] = ()) -> list[str]:
        """The stages that DVC must run before ``items``, without those that need one of ``failed``."""
        items, lost = list(items), set(failed)
        possible = [item.name for item in items if not self._all_before(item.name) & lost]
        return sorted(set().union(*map(self._before, possible)) - {item.name for item in items})

    def blocked(self, item: Item, failed: Iterable[str]) -> set[str]:
        """Which of the failed items ``item`` needs, however far away."""
        return self._all_before(item.name) & set(failed)

    def repro(self, targets: Sequence[str]) -> None:
        """`dvc repro` of some stages, its output passed on.

        Raises:
            UserError: a stage failed; it has said why.
        """
        if targets and subprocess.run([sys.executable, "-m", "dvc", "repro", *targets], check=False).returncode:
            raise UserError(
                "`dvc repro` failed on a stage that the items need (see above); correct it and run the same again."
            )

    def inputs(self, item: Item) -> Inputs:
        """What an item reads, by content, as it is now."""
        with self._locked():
            stage = self._stage(item)
            stage.save_deps(allow_missing=True)
            return {str(dep.def_path): files.sha256_json(str(dep.hash_info)) for dep in stage.deps}

    def is_current(self, item: Item) -> bool:
        """Whether DVC would run nothing for an item: it is up to date, or was made before and lies in the cache."""
        if not self._repo.status([item.name]):
            return True
        from dvc.stage.cache import RunCacheNotFoundError

        with self._locked():
            try:
                self._repo.stage_cache.restore(self._stage(item))  # as `dvc repro` does before it runs a stage
            except RunCacheNotFoundError:
                return False
        self._repo.commit(item.name, force=True)
        return not self._repo.status([item.name])

    def hand_over(self, item: Item, inputs: Inputs) -> None:
        """`dvc commit`: what an item made is its output now.

        Args:
            item: it has ended well.
            inputs: what it read when it began.

        Raises:
            UserError: an input has changed since then, or DVC refuses.
        """
        from dvc.exceptions import DvcException

        now = self.inputs(item)
        if changed := sorted(path for path in now if now[path] != inputs.get(path)):
            raise UserError(f"{', '.join(changed)} changed while it ran, so it was not handed to DVC; run it again.")
        try:
            self._repo.commit(item.name, force=True)
        except (DvcException, OSError) as error:
            raise UserError(f"DVC could not take its outputs over ({one_line(error)}); run it again.") from None

    def _stage(self, item: Item) -> Any:
        (stage,) = self._repo.stage.collect(item.name)
        return stage

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from dvc.repo import lock_repo

        with lock_repo(self._repo):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other ``fanout`` beside this one.

        Raises:
            UserError: there is one.
        """
        from dvc.lock import LockError, make_lock

        path = Path(self._repo.tmp_dir) / "fanout.lock"
        hardlink = self._repo.config["core"].get("hardlink_lock", False)
        lock = make_lock(str(path), tmp_dir=self._repo.tmp_dir, hardlink_lock=hardlink)
        try:
            lock.lock()
        except LockError:
            raise UserError(
                "Another `fanout` is at work in this folder; wait for its end, or stop it with Ctrl-C where it runs."
            ) from None
        try:
            yield
        finally:
            lock.unlock()

    @contextmanager
    def holding(self, items: Iterable[Item]) -> Iterator[None]:
        """DVC's own lock on what the items read and write: a `dvc repro` that needs the same is refused meanwhile.

        Raises:
            UserError: another DVC command is at work on some of it.
        """
        from dvc.lock import LockError
        from dvc.rwlock import rwlock

        stages = [self._stages[item.name] for item in items]
        read = sorted({dep.fs_path for stage in stages for dep in stage.deps})
        write = sorted({out.fs_path for stage in stages for out in stage.outs})
        hardlink = self._repo.config["core"].get("hardlink_lock", False)
        lock = rwlock(self._repo.tmp_dir, self._repo.fs, " ".join(sys.argv), read, write, hardlink)
        try:
            lock.__enter__()
        except LockError as error:
            raise UserError(f"DVC is at work on what the items need ({one_line(error)}); wait for its end.") from None
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

"""What runs on a node: one process of the pipeline, watched; and what that node is.

Shipped to the nodes by value and written with the standard library alone, so that a node without the shared folder can
say so.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Ray sets the first in its workers; the items get what the one who started them has, as under `dvc repro`."""
SECONDS_TO_STOP = 120.0
"""For the step, the checkpoint and the last words of a process that was asked to stop."""
LOOK = 0.2
"""Seconds between two looks at the process."""
DIE_WITH_PARENT = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    torchrun = "torch.distributed.run" in sys.argv  # which has to end processes of its own
    ctypes.CDLL(None).prctl(1, signal.SIGTERM if torchrun else signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        os._exit(1)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""A process whose worker is killed would train on beside the one that takes its place: PR_SET_PDEATHSIG."""
RANK, HOST, PORT = "{rank}", "{host}", "{port}"
"""Stand in the arguments of a job on several nodes for the node's number and for the place where its processes meet."""
MARK = "--- attempt"
"""Begins the line that an attempt writes into the log before anything else."""


@dataclass(frozen=True)
class Job:
    """One attempt at one item."""

    item: str
    arguments: tuple[str, ...]
    """What follows the Python interpreter on the command line."""
    folder: str
    log: str
    """Absolute."""
    token: str
    """What the shared folder's token file must hold."""
    token_file: str
    attempt: int
    environment: dict[str, str]
    """Set for the process, whatever the node has."""


@dataclass(frozen=True)
class Ended:
    """How an attempt ended."""

    status: int
    """Exit status; negative: the signal that killed it."""
    stopped: bool = False
    """It was asked to stop."""
    problem: str = ""
    """Why it could not even begin, a sentence."""


@dataclass(frozen=True)
class Facts:
    """What a node is, as far as the items' results depend on it."""

    name: str
    token: str
    """Content of the token file; "" where it does not see it."""
    code: str
    """Hash of the code in the folder."""
    versions: dict[str, str]


def token_in(path: str) -> str:
    """Content of a token file; "" where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def facts(folder: str, token_file: str, packages: tuple[str, ...], code: tuple[str, ...]) -> Facts:
    """This node.

    Args:
        folder: where the pipeline lies.
        token_file: written by the one who asks, with something that nobody else can know.
        packages: of which the versions are told.
        code: files and folders of the folder whose content is hashed.
    """
    digest = hashlib.sha256()
    for name in code:
        place = Path(folder) / name
        for path in sorted(place.rglob("*.*")) if place.is_dir() else [place]:
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".part":
                digest.update(path.relative_to(folder).as_posix().encode())
                digest.update(path.read_bytes())
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "none"
    return Facts(platform.node(), token_in(token_file), digest.hexdigest(), versions)


def environment(given: dict[str, str]) -> dict[str, str]:
    """What the process sees: the node's own, Ray's number of threads taken out, ``given`` put in."""
    own = {name: value for name, value in os.environ.items() if name not in THREADS}
    return {**own, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **given}


@contextlib.contextmanager
def hearing_interrupts() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt in here, whatever this process was started with.

    Ray stops a task by that signal. A script that starts ``command &`` makes the command ignore it, and all that the
    command starts inherits this, Ray's workers too: they would never hear that they are to stop. A handler that
    somebody has set stays.
    """
    deaf = signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread()
    if deaf:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if deaf:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def supervise(job: Job, node: str) -> Ended:
    """Run a job to its end; asked to stop (KeyboardInterrupt), stop it as a scheduler would, with SIGTERM.

    Args:
        job: what to run.
        node: Ray's id of this node, for the log.
    """
    if token_in(job.token_file) != job.token:
        return Ended(1, problem=f"{platform.node()} does not see {job.folder}")
    with open(job.log, "ab") as log:
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        log.write(
            f"{MARK} {job.attempt} on {platform.node()} [{node}], {when}: python {' '.join(job.arguments)}\n".encode()
        )
        log.flush()
        process = subprocess.Popen(
            [sys.executable, "-c", DIE_WITH_PARENT, str(os.getpid()), *job.arguments],
            cwd=job.folder,
            env=environment(job.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in a terminal reaches it through here alone
        )
        try:
            with hearing_interrupts():
                while process.poll() is None:
                    time.sleep(LOOK)
            return Ended(process.returncode)
        except KeyboardInterrupt:
            return _stop(process)
        finally:
            if process.poll() is None:
                _kill(process)


def _stop(process: subprocess.Popen[bytes]) -> Ended:
    process.terminate()
    end = time.monotonic() + SECONDS_TO_STOP
    while process.poll() is None and time.monotonic() < end:
        time.sleep(LOOK)
    if process.poll() is None:
        _kill(process)
    # What had come to its end just then has ended, not stopped.
    return Ended(process.returncode or 0, stopped=process.returncode != 0)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to all that the process has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def attempt(job: Job) -> dict[str, Any]:
    """A task of Ray: run a job. What a task takes and gives is built of plain types where it can be."""
    import ray

    return asdict(supervise(job, ray.get_runtime_context().get_node_id()))


def told(folder: str, token_file: str, packages: tuple[str, ...], code: tuple[str, ...]) -> dict[str, Any]:
    """A task of Ray: ``facts``."""
    return asdict(facts(folder, token_file, packages, code))


def meeting() -> tuple[str, str]:
    """A task of Ray: this node's address and a port that is free now."""
    import ray

    with socket.socket() as free:
        free.bind(("", 0))
        return ray.util.get_node_ip_address(), str(free.getsockname()[1])


def gang(job: Job, cpus: float, gpus: float, nodes: int) -> dict[str, Any]:
    """A task of Ray: a job on several nodes at once, one torchrun each, all or none.

    Args:
        job: its arguments hold ``RANK``, ``HOST`` and ``PORT``.
        cpus: of each node.
        gpus: of each node.
        nodes: how many.
    """
    import ray
    from ray.util.placement_group import placement_group, remove_placement_group
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    group = placement_group([{"CPU": cpus, "GPU": gpus}] * nodes, strategy="STRICT_SPREAD")
    tasks: list[Any] = []

    def on(node: int, function: Any, cpus: float, gpus: float) -> Any:
        place = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=node)
        return ray.remote(function).options(num_cpus=cpus, num_gpus=gpus, max_retries=0, scheduling_strategy=place)

    try:
        with hearing_interrupts():
            ray.get(group.ready())
            host, port = ray.get(on(0, meeting, 0.0, 0.0).remote())
            for node in range(nodes):
                told = {RANK: str(node), HOST: host, PORT: port}
                there = replace(
                    job,
                    arguments=tuple(told.get(word, word) for word in job.arguments),
                    log=f"{job.log}.{node}" if node else job.log,
                )
                tasks.append(on(node, attempt, cpus, gpus).remote(there))
            waiting = list(tasks)
            while waiting:
                done, waiting = ray.wait(waiting, timeout=None)
                ended: dict[str, Any] = ray.get(done[0])
                if ended["status"] or ended["stopped"]:
                    return ended
            return ended
    finally:
        for task in tasks:
            ray.cancel(task, force=False)
        if tasks:
            ray.wait(tasks, num_returns=len(tasks), timeout=SECONDS_TO_STOP)
        remove_placement_group(group)

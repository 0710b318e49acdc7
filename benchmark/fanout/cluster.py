"""Ray: the one file that speaks to it. Machines in, attempts out."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from benchmark.common import cpus
from benchmark.common.errors import UserError, one_line
from benchmark.fanout import worker
from benchmark.fanout.size import Node, Size
from benchmark.fanout.worker import Ended, Facts, Job

ANSWERS_WITHIN = 5.0
"""Seconds for the first connection to an address, and for a node to say what it is (times 24)."""
STORE_BYTES = 100 << 20
"""Of Ray's shared memory on this machine: nothing but exit statuses goes through it."""
TORCHRUN_STOPS_WITHIN = 110
"""Seconds that torchrun leaves its processes for a checkpoint."""
HOW_TO_INSTALL = 'pip install -e ".[cluster]"'


@dataclass(frozen=True)
class Lost:
    """An attempt of which the process that watched it, or its node, is gone."""

    reason: str


def _ray() -> Any:
    """The package.

    Raises:
        UserError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # by default it reports to its makers
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ModuleNotFoundError:
        raise UserError(
            f"`fanout` needs Ray, which is not installed; install the extra `cluster`: {HOW_TO_INSTALL}."
        ) from None
    return ray


def _refuse_silent(address: str) -> None:
    """Refuse an address at which nobody listens, within seconds; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise UserError(f"--address expects `auto` or HOST:PORT, such as 10.0.0.1:6379, found '{address}'.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN).close()
    except OSError as error:
        raise UserError(
            f"Nobody answers at {address} ({error.strerror or error}); start Ray there (`ray start --head`), or leave "
            "--address out to use this machine alone."
        ) from None


class Cluster:
    """Attempts that run on the machines of one Ray cluster."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        ray.cloudpickle.register_pickle_by_value(worker)  # no node needs this package to be importable for Ray
        self._handles: dict[Any, Job] = {}

    def nodes(self) -> list[Node]:
        """The machines that are alive."""
        return [
            Node(
                node["NodeID"],
                f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})",
                node["Resources"].get("CPU", 0.0),
                node["Resources"].get("GPU", 0.0),
            )
            for node in self._ray.nodes()
            if node["Alive"]
        ]

    def facts(self, folder: str, token_file: str, packages: tuple[str, ...], code: tuple[str, ...]) -> list[Facts]:
        """What each machine that can hold an item says of itself.

        Raises:
            UserError: one does not answer.
        """
        asked = {
            node.name: self._task(worker.told, Size(0.0), node.key).remote(folder, token_file, packages, code)
            for node in self.nodes()
            if node.cpus or node.gpus
        }
        told = []
        for name, answer in asked.items():
            try:
                told.append(Facts(**self._ray.get(answer, timeout=24 * ANSWERS_WITHIN)))
            except Exception as error:  # whatever Ray or the node's Python say
                raise UserError(f"Node {name} could not be asked what it is ({one_line(error)}).") from None
        return told

    def _task(self, function: Any, size: Size, node: str | None = None) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        options: dict[str, Any] = {"num_cpus": size.cpus, "num_gpus": size.gpus, "max_retries": 0}
        if node is not None:
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=False)
        return self._ray.remote(function).options(**options)

    def start(self, job: Job, size: Size) -> None:
        """Put an attempt into Ray's queue."""
        job = launched(job, size)
        if size.nodes > 1:
            here = self._ray.get_runtime_context().get_node_id()
            handle = self._task(worker.gang, Size(0.0), here).remote(job, size.cpus, size.gpus, size.nodes)
        else:
            handle = self._task(worker.attempt, size).remote(job)
        self._handles[handle] = job

    def ended(self, seconds: float) -> Iterator[tuple[Job, Ended | Lost]]:
        """Attempts that ended, after at most so many seconds of waiting for one.

        Raises:
            UserError: the cluster itself is gone.
        """
        if not self._handles:
            return
        try:
            done, _ = self._ray.wait(list(self._handles), timeout=seconds)
        except self._ray.exceptions.RayError as error:
            raise UserError(
                f"The Ray cluster is gone ({one_line(error)}); checkpoints are kept, and the same command goes on."
            ) from None
        for handle in done:
            job = self._handles.pop(handle)
            try:
                yield job, Ended(**self._ray.get(handle))
            except self._ray.exceptions.TaskCancelledError:
                yield job, Ended(0, stopped=True)
            except Exception as error:  # the worker or its node died, or Ray could not start it
                yield job, Lost(reason(error))

    def stop(self) -> None:
        """Ask every attempt to stop; ``ended`` gives them one by one."""
        for handle in self._handles:
            self._ray.cancel(handle, force=False, recursive=True)


def reason(error: BaseException) -> str:
    """Of a lost attempt, in words."""
    known = {
        "NodeDiedError": "its node died",
        "WorkerCrashedError": "its worker process was killed",
        "OutOfMemoryError": "its node ran out of memory",
        "LocalRayletDiedError": "Ray on its node died",
        "OwnerDiedError": "its node died",
    }
    return known.get(type(error).__name__, one_line(error))


@contextmanager
def joined(address: str | None) -> Iterator[Cluster]:
    """The cluster at ``address`` (``auto``: the one that this machine is part of), or this machine as one.

    Raises:
        UserError: Ray is not installed, or nobody answers.
    """
    ray = _ray()
    if address not in (None, "auto"):
        _refuse_silent(str(address))
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is None:
            ray.init(
                "local", num_cpus=cpus.available(), include_dashboard=False, object_store_memory=STORE_BYTES, **quiet
            )
        else:
            ray.init(address, **quiet)
    except Exception as error:  # Ray has no class of its own for this
        where = "on this machine" if address is None else f"at {address}"
        what = "started" if address is None else "reached"
        raise UserError(
            f"Ray could not be {what} {where} ({one_line(error)}); `ray status` there shows what runs. Ray and Python "
            "must be of one version everywhere; a cluster with a token is reached by `auto` on one of its nodes, or "
            "with RAY_AUTH_MODE=token."
        ) from None
    try:
        yield Cluster(ray)
    finally:
        ray.shutdown()


def launched(job: Job, size: Size) -> Job:
    """The job as the node starts it: under torchrun where several GPUs share it, the same command otherwise."""
    if not size.is_distributed:
        return job
    launcher = ["-m", "torch.distributed.run", "--shutdown-timeout", str(TORCHRUN_STOPS_WITHIN)]
    launcher += ["--nnodes", str(size.nodes), "--nproc-per-node", str(size.processes)]
    if size.nodes == 1:
        launcher.append("--standalone")
    else:  # not by c10d, which has to recognise its own host by name
        launcher += ["--node-rank", worker.RANK, "--master-addr", worker.HOST, "--master-port", worker.PORT]
    return replace(job, arguments=(*launcher, *job.arguments))

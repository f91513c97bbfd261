"""A Dask cluster of real processes on this machine: a scheduler, and workers that can be killed."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from calibration_pipeline_tests.processes import PATIENCE_SECONDS, PROJECT

_SCHEDULER = "distributed.cli.dask_scheduler"
_WORKER = "distributed.cli.dask_worker"


@dataclass
class Cluster:
    """A scheduler's address, and the processes; what `stack` enters ends with the cluster."""

    address: str
    scheduler: subprocess.Popen[bytes]
    stack: ExitStack
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End a process as the kernel does that runs out of memory."""
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE_SECONDS)


@contextmanager
def cluster(n_workers: int, installed: Path | None = None) -> Iterator[Cluster]:
    """Start a cluster of workers with one thread each; end it with the context.

    Parameters
    ----------
    installed
        Folder of packages that the scheduler finds before those installed here.
    """
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    with ExitStack() as stack:
        scheduler = stack.enter_context(
            _running(_SCHEDULER, "--host", "127.0.0.1", "--port", str(port), "--no-dashboard",
                     installed=installed)
        )  # fmt: skip
        found = Cluster(address, scheduler, stack)
        for _ in range(n_workers):
            found.workers.append(stack.enter_context(worker_of(address)))
        yield found


def worker_of(
    address: str, memory_limit: str = "0", installed: Path | None = None
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Start a worker with one thread, which nobody starts again when it is dead."""
    return _running(
        _WORKER, address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny",
        "--no-dashboard", "--memory-limit", memory_limit, installed=installed,
    )  # fmt: skip


@contextmanager
def _running(
    module: str, *arguments: str, installed: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "PYTHONPATH": f"{installed}:{PROJECT}" if installed else str(PROJECT),
            "NUMBA_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            # It samples stacks a hundred times a second.
            "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "false",
        },
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

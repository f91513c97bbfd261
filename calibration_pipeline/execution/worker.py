"""What runs on Dask's workers. Dask keeps what `load` gives in the worker's memory."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass

import numba
import numpy as np

from calibration_pipeline.errors import CalibrationError, EngineError, EngineUnavailableError
from calibration_pipeline.execution.shard_content import digest_of, unpack
from calibration_pipeline.execution.shard_store import Read
from calibration_pipeline.execution.versions import (
    differences,
    installed_versions,
    processor,
)
from calibration_pipeline.irt.local_engine import sum_of
from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.shards import AnswerShards, SessionPass, SumPass, Sums, added

_ONE_PASS = threading.Lock()
"""A worker may have several threads. The compiled loops use them all; two loops must not meet."""


def load(read: Read, name: str, digest: str, versions: Mapping[str, str]) -> AnswerShards:
    """Load shards into this worker's memory.

    Raises
    ------
    EngineError
        The worker has other versions installed than the night's own process.
    EngineUnavailableError
        The worker can't read the file, or it isn't what was written.
    """
    if different := differences(versions, installed_versions()):
        raise EngineError(
            f"a Dask worker has {different}: install the same versions on all workers "
            "(one image for both is the simplest)"
        )
    try:
        content = read(name)
    except Exception as error:  # libraries of object stores have errors of their own
        reason = str(error) if isinstance(error, CalibrationError) else type(error).__name__
        raise EngineUnavailableError(
            f"a Dask worker can't read the shards in the archive ({reason}): every worker has to "
            "reach the archive under the same name, with credentials of its own"
        ) from None
    if digest_of([bytes(0), memoryview(content)]) != digest:
        raise EngineUnavailableError(
            "a Dask worker has read other shards than were written: run it again"
        )
    return unpack(content)


def sums(shards: AnswerShards, work: SumPass) -> Sums:
    """Add a pass up over a node of the tree."""
    with _ONE_PASS, _Threads():
        return sum_of(_writable(shards), work)


def add(left: Sums, right: Sums) -> Sums:
    """Add two neighbouring nodes."""
    return added(left, right)


def values(shards: AnswerShards, work: SessionPass) -> FloatArray:
    """Values of every session of a node."""
    with _ONE_PASS, _Threads():
        return work.of(_writable(shards))


@dataclass(frozen=True)
class WorkerFacts:
    """What a worker says of itself: versions, processor, threads, and why it can't read shards."""

    versions: Mapping[str, str]
    processor: str
    threads: int
    obstacle: str


def facts(read: Read, probe: str) -> WorkerFacts:
    """Say what this worker is, and whether it can read a file that was just written."""
    from distributed import get_worker

    try:
        read(probe)
        obstacle = ""
    except Exception as error:  # libraries of object stores have errors of their own
        obstacle = type(error).__name__
    threads = int(get_worker().state.nthreads)
    return WorkerFacts(installed_versions(), processor(), threads, obstacle)


class _Threads:
    """Uses as many threads as the worker was started with."""

    def __enter__(self) -> None:
        from distributed import get_worker

        self._before = numba.get_num_threads()
        wanted = get_worker().state.nthreads
        numba.set_num_threads(min(wanted, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]

    def __exit__(self, *_: object) -> None:
        numba.set_num_threads(self._before)


def _writable(shards: AnswerShards) -> AnswerShards:
    """Copy arrays that came over the network or from disk, which can't be written to."""
    if shards.rows.flags.writeable:
        return shards
    return AnswerShards(*(np.array(array) for array in vars(shards).values()))

"""Passes on a Dask cluster.

1. The first pass over a set of answers writes its shards to where workers can read them, one file
   for each node of the tree that is a worker's own, and each worker loads its nodes. Dask keeps
   them in its memory for as long as this process has the answers.
2. A pass is sent to where the shards are. Sums of nodes are added on the workers, along the tree
   that `irt.shards` fixes, and one table comes back.
3. Where a worker is lost, Dask has its nodes loaded and computed again by others. A node's sums
   take part in the tree once, whoever gave them.
"""

import logging
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np

from calibration_pipeline.errors import CalibrationError, EngineUnavailableError
from calibration_pipeline.execution import worker
from calibration_pipeline.execution.connecting import connect, why_no_answer
from calibration_pipeline.execution.nodes import Node, cut
from calibration_pipeline.execution.shard_content import digest_of, pack
from calibration_pipeline.execution.shard_store import ShardStore
from calibration_pipeline.execution.versions import installed_versions
from calibration_pipeline.irt.local_engine import LOCAL
from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.irt.shards import SessionPass, SumPass, Sums, halves

if TYPE_CHECKING:
    from distributed import Client, Future


@dataclass(frozen=True)
class _Placed:
    """Answers whose shards are on workers."""

    data: "weakref.ref[ResponseData]"
    shards: dict[Node, "Future"]
    names: list[str]


class DaskEngine:
    """A Dask cluster, connected to when it is first needed; closed at the end of a context.

    Parameters
    ----------
    scheduler
        Its address, such as ``tcp://scheduler:8786``. Certificates for ``tls://`` are Dask's own
        configuration.
    store
        Where shards are written to, and how workers read them.
    timeout_seconds
        What a pass may take, the loading of shards included.
    """

    def __init__(self, scheduler: str, store: ShardStore, timeout_seconds: float) -> None:
        self._scheduler = scheduler
        self._store = store
        self._timeout = timeout_seconds
        self._client: Client | None = None
        self._placed: dict[int, _Placed] = {}
        self._numbers = count(1)

    def total(self, data: ResponseData, work: SumPass) -> Sums:
        """Add a pass up over all answers.

        Raises
        ------
        EngineError, EngineUnavailableError
            The cluster can't be used, or not now.
        """
        n_blocks = data.shards.n_blocks
        if not n_blocks:
            return LOCAL.total(data, work)
        with self._explained():
            client, placed = self._connected(), self._place(data)
            root = _sum_of_node(client, placed.shards, work, (0, n_blocks))
            found: Sums = root.result(timeout=self._timeout)
        return tuple(np.array(table) for table in found)

    def each(self, data: ResponseData, work: SessionPass) -> FloatArray:
        """Values of every session.

        Raises
        ------
        EngineError, EngineUnavailableError
            As `total`.
        """
        if not data.shards.n_blocks:
            return LOCAL.each(data, work)
        with self._explained():
            client, placed = self._connected(), self._place(data)
            parts = [
                client.submit(worker.values, shards, work, pure=False)
                for shards in placed.shards.values()
            ]
            end = time.monotonic() + self._timeout
            found = [part.result(timeout=max(end - time.monotonic(), 0.1)) for part in parts]
        return np.concatenate(found, axis=1)

    def facts(self) -> list[worker.WorkerFacts]:
        """What every worker says of itself, in order of their addresses.

        Raises
        ------
        EngineUnavailableError
            The scheduler doesn't answer, or has no worker.
        """
        with self._explained():
            client, name = self._connected(), "probe"
            self._store.write(name, [b"probe"])
            asked = [
                client.submit(worker.facts, self._store.read, name, pure=False, workers=[address])
                for address in sorted(client.nthreads())
            ]
            return [facts.result(timeout=self._timeout) for facts in asked]

    def wait_for_workers(self, number: int) -> None:
        """Wait until so many workers are there; by itself an engine begins with the first.

        Raises
        ------
        EngineUnavailableError
            They aren't, within the time that a pass may take.
        """
        with self._explained():
            self._connected().wait_for_workers(number, timeout=self._timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._placed.clear()
        try:
            if self._client is not None:
                self._client.close()
        finally:
            self._client = None
            self._store.close()

    def _connected(self) -> "Client":
        if self._client is None:
            # What it logs of a lost connection is a traceback; our own line says it.
            logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
            self._client = connect(self._scheduler, self._timeout)
        if self._client.status != "running":  # it tries to connect again: for other answers
            raise ConnectionError("the connection to the scheduler was lost")
        return self._client

    def _place(self, data: ResponseData) -> _Placed:
        """Have the shards of these answers in workers' memory, once."""
        self._drop_what_nobody_has()
        placed = self._placed.get(id(data))
        if placed is None:
            placed = self._placed[id(data)] = self._written(data)
        return placed

    def _written(self, data: ResponseData) -> _Placed:
        client, number = self._connected(), next(self._numbers)
        versions, read = installed_versions(), self._store.read
        placed = _Placed(weakref.ref(data), {}, [])
        for node in cut(data.shards.n_blocks, len(client.nthreads())):
            name = f"{number:04d}-{node[0]}-{node[1]}"
            content = pack(data.shards.blocks(*node))
            self._store.write(name, content)
            placed.names.append(name)
            # Dask says which worker, and evenly. A task that were told where to run would wait for
            # ever, were that worker lost while there is no other.
            placed.shards[node] = client.submit(
                worker.load, read, name, digest_of(content), versions, pure=False
            )
        return placed

    def _drop_what_nobody_has(self) -> None:
        for key in [key for key, placed in self._placed.items() if placed.data() is None]:
            self._store.remove(self._placed.pop(key).names)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what Dask raises into one line; errors of our own come from workers as they are."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker
        from distributed.scheduler import NoValidWorkerError, NoWorkerError

        try:
            yield
        except CalibrationError:
            raise
        except KilledWorker as error:
            raise EngineUnavailableError(
                f"workers of the Dask cluster at {self._scheduler} died again and again in one "
                "pass: give them more memory, or start more of them (docs/scale.md)"
            ) from error
        except TimeoutError as error:
            raise EngineUnavailableError(
                f"the Dask cluster at {self._scheduler} gave no answer in {self._timeout:.0f} s: "
                f"{why_no_answer(self._scheduler)}; or raise CALIBRATION_DASK_TIMEOUT_SECONDS"
            ) from error
        except (CancelledError, OSError, NoValidWorkerError, NoWorkerError) as error:
            raise EngineUnavailableError(
                f"the Dask scheduler {self._scheduler} can't be reached, or went away: start it, "
                "or unset CALIBRATION_DASK_SCHEDULER to compute on this machine"
            ) from error


def _sum_of_node(
    client: "Client", shards: dict[Node, "Future"], work: SumPass, node: Node
) -> "Future":
    """Ask for a node's sums: a worker's own, or those of its two halves."""
    if node in shards:
        return client.submit(worker.sums, shards[node], work, pure=False)
    middle = halves(*node)
    left = _sum_of_node(client, shards, work, (node[0], middle))
    right = _sum_of_node(client, shards, work, (middle, node[1]))
    return client.submit(worker.add, left, right, pure=False)

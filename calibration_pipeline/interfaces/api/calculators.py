"""Processes that calculate for callers: few, warm, and with a short queue in front of them.

A calculation takes no thread of the service and no turn of its event loop, so that readers hardly
notice it. Who finds the queue full hears so at once; who leaves the queue has cost nothing; who
leaves during a calculation costs what is left of that one.
"""

import asyncio
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, Final, TypeVar

from fastapi import Request

from calibration_pipeline.interfaces.api.calculator_process import begin
from calibration_pipeline.interfaces.api.errors import ApiError

RETRY_SECONDS: Final = 5
"""What a caller is told to wait for a place in the queue: about two calculations."""

_Found = TypeVar("_Found")


class CallerGoneError(ApiError):
    """Nobody is waiting for the answer any more: its status is for the log."""

    def __init__(self) -> None:
        super().__init__(499, "CALLER_GONE", "the caller hung up")


class Calculators:
    """A bounded pool of processes, with a bounded number of callers who wait for it.

    Processes are started by `start`, or by the first calculation; one that dies is replaced.

    Parameters
    ----------
    processes
        Calculations that run at once.
    waiting
        Callers who may wait for one of them to end.
    prepare
        What a new process does first, such as loading what is compiled.
    """

    def __init__(self, processes: int, waiting: int, prepare: Callable[[], None]) -> None:
        self._processes, self._most_waiting = processes, waiting
        self._prepare = prepare
        self._free = asyncio.Semaphore(processes)
        self._waiting = 0
        self._pool: ProcessPoolExecutor | None = None
        self._started: list[Future[int]] = []

    def start(self) -> None:
        """Start every process now, in the background."""
        self._started = [self._submit(os.getpid) for _ in range(self._processes)]

    @property
    def are_starting(self) -> bool:
        """Whether a process that `start` began isn't ready yet: who calls now waits for it."""
        return not all(future.done() for future in self._started)

    def close(self) -> None:
        """End the processes; running calculations are not waited for."""
        if self._pool is not None:
            for process in tuple((self._pool._processes or {}).values()):
                process.terminate()
            # Waited for: semaphores that outlive this process are complained of in its log.
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    async def run(self, function: Callable[..., _Found], *arguments: Any) -> _Found:
        """Call a function of a module in one of the processes.

        Raises
        ------
        ApiError
            503: too many wait already, or the process died.
        """
        if self._free.locked() and self._waiting >= self._most_waiting:
            raise ApiError(
                503,
                "BUSY",
                f"{self._processes + self._waiting} calculations are running or waiting: try "
                f"again in {RETRY_SECONDS} s",
                {"retry-after": str(RETRY_SECONDS)},
            )
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        loop = asyncio.get_running_loop()
        try:
            future = self._submit(function, *arguments)
        except BaseException:
            self._free.release()
            raise
        # The place is free when the calculation has ended, whether or not its caller is there.
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(self._free.release))
        try:
            return await asyncio.wrap_future(future)
        except BrokenProcessPool:
            raise ApiError(
                503,
                "CALCULATION_LOST",
                "the process that calculated has died, perhaps for want of memory: try again, "
                "with less if it happens again",
                {"retry-after": str(RETRY_SECONDS)},
            ) from None

    def _submit(self, function: Callable[..., _Found], *arguments: Any) -> Future[_Found]:
        if self._pool is None:
            self._pool = self._new_pool()
        try:
            return self._pool.submit(function, *arguments)
        except BrokenProcessPool:
            self._pool = self._new_pool()
            return self._pool.submit(function, *arguments)

    def _new_pool(self) -> ProcessPoolExecutor:
        # Spawned: a fork would take over the service's threads' locks and its connections.
        return ProcessPoolExecutor(
            self._processes, get_context("spawn"), initializer=begin, initargs=(self._prepare,)
        )


async def unless_gone(request: Request, work: Coroutine[Any, Any, _Found]) -> _Found:
    """Wait for work, or for the caller to hang up, which ends the waiting.

    The request's body must have been read.

    Raises
    ------
    CallerGoneError
        The caller hung up first.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise CallerGoneError
        return task.result()
    finally:
        gone.cancel()
        task.cancel()


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass

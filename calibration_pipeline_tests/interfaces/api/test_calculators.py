"""A bounded pool of real processes: who waits, who is told to come back, who leaves."""

import asyncio
import os
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from calibration_pipeline.interfaces.api.calculators import Calculators
from calibration_pipeline.interfaces.api.errors import ApiError
from calibration_pipeline_tests.interfaces.api.calculations import (
    die,
    held_until,
    leave_a_mark,
    nothing,
)
from calibration_pipeline_tests.processes import PATIENCE_SECONDS


def with_calculators(waiting: int, work: Any) -> Any:
    """Run a coroutine function on a pool of one process."""

    async def run() -> Any:
        calculators = Calculators(1, waiting, nothing)
        try:
            return await asyncio.wait_for(work(calculators), PATIENCE_SECONDS)
        finally:
            calculators.close()

    return asyncio.run(run())


async def appears(file: Path) -> None:
    while not file.exists():
        await asyncio.sleep(0.01)


def background(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.ensure_future(work)


def test_whom_the_queue_has_no_place_for_hears_so_at_once(tmp_path: Path) -> None:
    gate, begun = tmp_path / "gate", tmp_path / "begun"

    async def work(calculators: Calculators) -> None:
        running = background(calculators.run(held_until, gate, begun))
        await appears(begun)
        waiting = background(calculators.run(os.getpid))
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as refusal:
            await calculators.run(os.getpid)
        assert (refusal.value.status, refusal.value.code) == (503, "BUSY")
        assert int(refusal.value.headers["retry-after"]) >= 1
        gate.touch()
        # The one that waited comes after the one that ran, in the same process.
        assert await running == await waiting != os.getpid()
        assert await calculators.run(os.getpid) == await running

    with_calculators(1, work)


def test_processes_are_starting_until_they_have_prepared(tmp_path: Path) -> None:
    async def work(calculators: Calculators) -> None:
        assert not calculators.are_starting  # nobody has asked for them
        calculators.start()
        assert calculators.are_starting
        await calculators.run(os.getpid)
        assert not calculators.are_starting

    with_calculators(1, work)


def test_who_leaves_the_queue_costs_nothing_and_the_running_one_goes_on(tmp_path: Path) -> None:
    gate, begun, mark = (tmp_path / name for name in ("gate", "begun", "mark"))

    async def work(calculators: Calculators) -> None:
        running = background(calculators.run(held_until, gate, begun))
        await appears(begun)
        leaving = background(calculators.run(leave_a_mark, mark))
        await asyncio.sleep(0)
        leaving.cancel()
        running.cancel()  # its caller leaves, too: the place is taken until it ends
        await asyncio.sleep(0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(calculators.run(leave_a_mark, mark), 0.2)
        gate.touch()
        await calculators.run(os.getpid)

    with_calculators(4, work)
    assert not mark.exists()


def test_a_process_that_dies_is_replaced_and_the_pools_end_is_that_of_its_processes() -> None:
    async def work(calculators: Calculators) -> int:
        first = await calculators.run(os.getpid)
        with pytest.raises(ApiError) as lost:
            await calculators.run(die)
        assert (lost.value.status, lost.value.code) == (503, "CALCULATION_LOST")
        second = await calculators.run(os.getpid)
        assert second not in (first, os.getpid())
        return second

    process = with_calculators(1, work)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while is_alive(process):
        assert time.monotonic() < deadline, "the process lives on"
        time.sleep(0.05)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True

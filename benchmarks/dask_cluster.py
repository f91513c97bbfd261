"""Passes and a fit on a Dask cluster of processes on this machine, beside this process's threads.

Local and distributed passes alternate, so that what else the machine does hits both alike, and the
fastest of each counts. The fit is timed once in each way: it includes the writing and loading of
shards, and everything that the cluster doesn't do. Beside the seconds on the clock stand those of
the processors, of all processes together: a busy machine lengthens the former alone.
"""

import argparse
import json
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import psutil

from benchmarks import cases
from benchmarks.ours import CONFIGURATION, fit_with_errors
from benchmarks.screening_cost import measure_screening
from calibration_pipeline.execution.dask_engine import DaskEngine
from calibration_pipeline.irt import responses
from calibration_pipeline.irt.expectation import Expectation, expect
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.store.shard_files import ShardFiles
from calibration_pipeline_tests.execution.cluster import Cluster, cluster

WORKERS = (2, 1, 4)
"""The comparison comes first."""
COMPARED_WORKERS = 2
REPEATS = 3
TIMEOUT = 600.0
SCREENED = (1_000_000, 4_000_000)
"""Answers in the windows that are screened."""
FEW_ITEMS, FEW_ANSWERS = 100, 2_000


def _pass(case: cases.Case, data: ResponseData) -> Expectation:
    return expect(data, case.truth, case.population, CONFIGURATION)


def _seconds(case: cases.Case, data: ResponseData) -> float:
    started = time.perf_counter()
    _pass(case, data)
    return time.perf_counter() - started


def _same(one: Expectation, other: Expectation) -> bool:
    return one.counts.tobytes() == other.counts.tobytes()


def _processor_seconds(running: Cluster) -> float:
    """Of this process and the workers."""
    processes = [psutil.Process(), *(psutil.Process(worker.pid) for worker in running.workers)]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def measure_workers(case: cases.Case, n_workers: int, *, fits: bool) -> dict[str, Any]:
    """Seconds of a pass in this process and on `n_workers` workers; of a fit where asked for."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        running = stack.enter_context(cluster(n_workers))
        engine = stack.enter_context(DaskEngine(running.address, ShardFiles(folder), TIMEOUT))
        # Workers that are still starting would be left out.
        engine.wait_for_workers(n_workers)
        warm = cases.build("large-100000")
        _pass(warm, replace(warm.data, engine=engine))
        remote = replace(case.data, engine=engine)
        started = time.perf_counter()
        found = _pass(case, remote)
        first = time.perf_counter() - started
        local, distributed, used = [], [], [_processor_seconds(running)]
        for _ in range(REPEATS):
            local.append(_seconds(case, case.data))
            used.append(_processor_seconds(running))
            distributed.append(_seconds(case, remote))
            used.append(_processor_seconds(running))
        spent = np.diff(used)
        row = {
            "workers": n_workers,
            "first_seconds": first,
            "local_seconds": min(local),
            "pass_seconds": min(distributed),
            "local_processor_seconds": float(min(spent[0::2])),
            "pass_processor_seconds": float(min(spent[1::2])),
            "is_same": _same(found, _pass(case, case.data)),
            "shard_bytes": sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file()),
            "worker_mib": max(
                psutil.Process(worker.pid).memory_info().rss for worker in running.workers
            )
            / 2**20,
        }
        if fits:
            row |= _fits(case, engine, running)
    return row


def _fits(case: cases.Case, engine: DaskEngine, running: Cluster) -> dict[str, Any]:
    seconds, processor, parameters = {}, {}, []
    for where, data in (("local", case.data), ("dask", replace(case.data, engine=engine))):
        started, used = time.perf_counter(), _processor_seconds(running)
        result, _ = fit_with_errors(replace(case, data=data))
        seconds[where] = time.perf_counter() - started
        processor[where] = _processor_seconds(running) - used
        parameters.append(result.parameters.tobytes())
    return {
        "fit_local_seconds": seconds["local"],
        "fit_dask_seconds": seconds["dask"],
        "fit_local_processor_seconds": processor["local"],
        "fit_dask_processor_seconds": processor["dask"],
        "fit_is_same": parameters[0] == parameters[1],
        "cycles": result.cycles,
    }


def measure_fixed_cost() -> list[dict[str, Any]]:
    """Seconds of a pass over next to no answers: messages, tables, and what comes back."""
    whole = cases.build("large-100000")
    shards = responses.MINIMUM_SHARD_RESPONSES, responses.SHARD_RESPONSES_PER_ITEM
    responses.MINIMUM_SHARD_RESPONSES, responses.SHARD_RESPONSES_PER_ITEM = 50, 0
    try:
        with ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            running = stack.enter_context(cluster(COMPARED_WORKERS))
            engine = stack.enter_context(DaskEngine(running.address, ShardFiles(folder), TIMEOUT))
            engine.wait_for_workers(COMPARED_WORKERS)
            sizes = (FEW_ITEMS, cases.LARGE_ITEMS)
            return [_fixed_cost(whole, n_items, engine) for n_items in sizes]
    finally:
        responses.MINIMUM_SHARD_RESPONSES, responses.SHARD_RESPONSES_PER_ITEM = shards


def _fixed_cost(whole: cases.Case, n_items: int, engine: DaskEngine) -> dict[str, Any]:
    few = whole.data.of_sessions(np.arange(FEW_ANSWERS // 50))
    data = replace(few, item=few.item % n_items, n_items=n_items)
    case = replace(whole, data=data, truth=whole.truth[:n_items])
    remote = replace(data, engine=engine)
    found = _pass(case, remote)
    return {
        "items": n_items,
        "table_bytes": found.counts.nbytes,
        "local_seconds": min(_seconds(case, data) for _ in range(REPEATS)),
        "pass_seconds": min(_seconds(case, remote) for _ in range(2 * REPEATS)),
    }


def measure(n_answers: int) -> dict[str, Any]:
    """Measure everything at a number of answers."""
    case = cases.build(f"large-{n_answers}")
    fit_with_errors(cases.build("large-100000"))
    rows = []
    for n_workers in WORKERS:
        rows.append(measure_workers(case, n_workers, fits=n_workers == COMPARED_WORKERS))
        print(json.dumps(rows[-1]), flush=True)  # the whole takes minutes
    return {
        "responses": case.data.n_responses,
        "items": case.data.n_items,
        "blocks": case.data.shards.n_blocks,
        "threads": numba.get_num_threads(),
        "fixed": measure_fixed_cost(),
        "screening": [measure_screening(n) for n in SCREENED],
        "rows": rows,
    }


def main() -> None:
    """Measure and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--answers", type=int, default=20_000_000)
    arguments = parser.parse_args()
    arguments.output.write_text(json.dumps(measure(arguments.answers)))


if __name__ == "__main__":
    main()

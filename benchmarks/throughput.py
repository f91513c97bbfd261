"""The E-step against the least that any E-step has to do: two passes over the table's rows.

The bare loop adds each answer's row into a vector, then the vector to each answer's row of a count
table, with the same shards and threads. It takes no exponential, no logarithm and no sum over
nodes, prepares no table and adds up no shards. The two alternate, and the fastest run of each
counts.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from numba import get_num_threads, njit, prange

from benchmarks import cases
from calibration_pipeline.irt.configuration import EMConfiguration
from calibration_pipeline.irt.expectation import expect
from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.population import Population
from calibration_pipeline.irt.responses import ResponseData

CONFIGURATION = EMConfiguration()
REPEATS = 9
CASES = ("night-40000", "large-5000000")


@njit(cache=True, parallel=True)
def _bare_wave(first_shard, n_shards, shard_sessions, offsets, rows, table, counts):  # type: ignore[no-untyped-def]
    """Gather-add and scatter-add of `n_shards` shards, one count table each."""
    n_nodes = table.shape[1]
    for k in prange(n_shards):
        vector = np.empty(n_nodes)
        for s in range(shard_sessions[first_shard + k], shard_sessions[first_shard + k + 1]):
            begin, end = offsets[s], offsets[s + 1]
            for q in range(n_nodes):
                vector[q] = 0.0
            for r in range(begin, end):
                row = table[rows[r]]
                for q in range(n_nodes):
                    vector[q] += row[q]
            for r in range(begin, end):
                row = counts[k, rows[r]]
                for q in range(n_nodes):
                    row[q] += vector[q]


def bare_loop(data: ResponseData, table: FloatArray, counts: FloatArray) -> None:
    """Run the bare loop over all shards, as many at once as there are count tables."""
    shards, n_buffers = data.shard_sessions, len(counts)
    n_shards = len(shards) - 1
    for first in range(0, n_shards, n_buffers):
        n = min(n_buffers, n_shards - first)
        _bare_wave(first, n, shards, data.session_offsets, data.table_rows, table, counts)


def measure(name: str) -> dict[str, float | int | str]:
    """Million answers per second of both, and their ratio."""
    case = cases.build(name)
    data = case.data
    rng = np.random.default_rng(0)
    table = rng.normal(size=(2 * data.n_items, CONFIGURATION.quadrature_nodes))
    counts = np.zeros((min(get_num_threads(), len(data.shard_sessions) - 1), *table.shape))
    best = {"bare": np.inf, "estep": np.inf}
    for _ in range(REPEATS + 1):  # the first compiles, and is never the fastest
        started = time.perf_counter()
        bare_loop(data, table, counts)
        between = time.perf_counter()
        expect(data, case.truth, Population(), CONFIGURATION)
        ended = time.perf_counter()
        best["bare"] = min(best["bare"], between - started)
        best["estep"] = min(best["estep"], ended - between)
    return {
        "case": name,
        "responses": data.n_responses,
        "items": data.n_items,
        "nodes": CONFIGURATION.quadrature_nodes,
        "bare": data.n_responses / best["bare"] / 1e6,
        "estep": data.n_responses / best["estep"] / 1e6,
        "ratio": best["bare"] / best["estep"],
    }


def main() -> None:
    """Measure every case and write the figures as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    arguments.output.write_text(json.dumps([measure(name) for name in CASES]))


if __name__ == "__main__":
    main()

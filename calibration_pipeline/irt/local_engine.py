"""Passes in this process, on its threads."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numba import get_num_threads

from calibration_pipeline.irt import kernels
from calibration_pipeline.irt.model import FloatArray
from calibration_pipeline.irt.shards import (
    SHARDS_PER_BLOCK,
    AnswerShards,
    Engine,
    PreparedSums,
    SessionPass,
    SumPass,
    Sums,
    tree_sum,
)

if TYPE_CHECKING:
    from calibration_pipeline.irt.responses import ResponseData


class LocalEngine:
    """The default: threads of this process."""

    def total(self, data: "ResponseData", work: SumPass) -> Sums:
        """Add a pass up over all answers."""
        return sum_of(data.shards, work)

    def each(self, data: "ResponseData", work: SessionPass) -> FloatArray:
        """Values of every session."""
        return work.of(data.shards)


LOCAL = LocalEngine()


def engine_of(data: "ResponseData") -> Engine:
    """Where passes over these answers run."""
    return data.engine or LOCAL


def sum_of(shards: AnswerShards, work: SumPass) -> Sums:
    """Add a pass up over shards; zeros where there are none."""
    prepared = work.over(shards)
    if not shards.n_shards:
        return _zeros(prepared)
    return tree_sum(shards.n_blocks, _block_sums(shards.n_shards, prepared))


def _block_sums(n_shards: int, prepared: PreparedSums) -> Iterator[Sums]:
    """Yield the sums of each block. Threads work on the shards of several blocks at once."""
    n_buffers = max(1, min(get_num_threads(), n_shards))
    buffers = tuple(np.empty((n_buffers, *shape)) for shape in prepared.shapes)
    total = _zeros(prepared)
    for first in range(0, n_shards, n_buffers):
        end = min(first + n_buffers, n_shards)
        prepared.fill(first, end - first, buffers)
        begin = first
        while begin < end:
            stop = min(end, begin - begin % SHARDS_PER_BLOCK + SHARDS_PER_BLOCK)
            for whole, buffer in zip(total, buffers, strict=True):
                kernels.add_in_order(whole, buffer[begin - first : stop - first], stop - begin)
            if stop % SHARDS_PER_BLOCK == 0 or stop == n_shards:
                yield total
                total = _zeros(prepared)
            begin = stop


def _zeros(prepared: PreparedSums) -> Sums:
    return tuple(np.zeros(shape) for shape in prepared.shapes)

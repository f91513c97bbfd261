"""Every block is in one node, and every node is one of the fixed tree."""

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration_pipeline.execution.nodes import cut
from calibration_pipeline.execution.shard_content import digest_of, pack, unpack
from calibration_pipeline.irt.responses import ResponseData
from calibration_pipeline.irt.shards import SHARDS_PER_BLOCK, added, halves, tree_sum


@given(n_blocks=st.integers(1, 300), n_workers=st.integers(1, 40))
@settings(max_examples=200, derandomize=True)
def test_every_block_is_in_one_node_and_nodes_are_alike(n_blocks, n_workers):
    nodes = cut(n_blocks, n_workers)
    blocks = [block for first, end in nodes for block in range(first, end)]
    assert blocks == list(range(n_blocks))
    sizes = [end - first for first, end in nodes]
    assert max(sizes) - min(sizes) <= 1
    assert min(n_workers, n_blocks) <= len(nodes) <= 8 * n_workers


@given(n_blocks=st.integers(1, 100), n_workers=st.integers(1, 9), seed=st.integers(0, 99))
@settings(max_examples=100, derandomize=True)
def test_nodes_computed_apart_add_up_to_the_same_bytes(n_blocks, n_workers, seed):
    tables = np.random.default_rng(seed).normal(size=(n_blocks, 1, 3)) * 10.0**8
    nodes = cut(n_blocks, n_workers)

    def of_blocks(first: int, end: int) -> Iterator[tuple[np.ndarray]]:
        return ((tables[block].copy(),) for block in range(first, end))

    def total(node: tuple[int, int]) -> tuple[np.ndarray, ...]:
        if node in nodes:
            return tree_sum(node[1] - node[0], of_blocks(*node))
        middle = halves(*node)
        return added(total((node[0], middle)), total((middle, node[1])))

    (together,) = tree_sum(n_blocks, of_blocks(0, n_blocks))
    (apart,) = total((0, n_blocks))
    assert together.tobytes() == apart.tobytes()


@pytest.mark.parametrize("weights", [None, np.linspace(0.1, 1.0, 10)])
def test_shards_come_back_from_bytes_as_they_were(weights):
    data = ResponseData(
        np.array([0, 3, 3, 10]), np.arange(10, dtype=np.int32), np.ones(10, np.uint8), 10, weights
    )
    parts = pack(data.shards)
    found = unpack(bytearray(b"".join(parts)))
    for name, array in vars(data.shards).items():
        there = getattr(found, name)
        assert there.dtype == array.dtype
        assert there.tobytes() == array.tobytes()
        assert there.flags.writeable
        assert there.flags.aligned
    assert digest_of(parts) == digest_of(pack(found))
    assert digest_of(parts) != digest_of([*parts, b"\0"])


def test_blocks_are_rebased(monkeypatch):
    monkeypatch.setattr("calibration_pipeline.irt.responses.MINIMUM_SHARD_RESPONSES", 4)
    monkeypatch.setattr("calibration_pipeline.irt.responses.SHARD_RESPONSES_PER_ITEM", 0)
    n = 100
    data = ResponseData(
        np.arange(0, n + 1, 2), np.arange(n, dtype=np.int32), np.ones(n, np.uint8), n
    )
    shards = data.shards
    assert shards.n_blocks == 4
    parts = [shards.blocks(first, first + 1) for first in range(4)]
    assert [part.n_shards for part in parts] == [SHARDS_PER_BLOCK] * 3 + [1]
    rows = list(itertools.chain.from_iterable(part.rows.tolist() for part in parts))
    assert rows == shards.rows.tolist()
    assert all(part.session_offsets[0] == part.boundaries[0] == 0 for part in parts)
    assert sum(part.n_sessions for part in parts) == shards.n_sessions
